"""Types on a terminal: whatever a schema says, it stays text, and a command stays one command."""

from __future__ import annotations

import io
import shlex
import tomllib
from typing import Any

import msgspec
import pytest
from rich.console import Console

from hookbus.cli.settings.file import type_as_toml
from hookbus.cli.types.view import example_of, show_changes, show_type, show_types

EVIL = "\x1b[2J[red]\u202eevil\x07 it's"


def view(schema: Any, **members: Any) -> dict[str, Any]:
    return {
        **{"name": "order_placed", "builtin": False, "schema": schema, "secret": []},
        **{"timeout_ms": 1000, "max_timeout_ms": 30000, "conflict": "last_wins"},
        **{"record_payload": "full", "origin": EVIL, "hooks": []},
        **members,
    }


def shown(function: Any, *arguments: Any) -> str:
    out = io.StringIO()
    function(*arguments, Console(file=out, width=80))
    return out.getvalue()


def test_no_text_of_a_schema_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"title": EVIL, "type": "object", "required": [EVIL], "properties": {EVIL: {}}}
    hostile = view(schema, secret=[EVIL], examples=[EVIL])
    change = {"pointer": EVIL, "message": EVIL, "verdict": "refuses", "event": {EVIL: EVIL}}
    changes = [{"type": EVIL, "verdict": "refuses", "changes": [change]}]

    text = shown(show_types, [hostile]) + shown(show_changes, changes)
    text += shown(show_type, hostile, example_of(hostile)) + capsys.readouterr().out

    assert all(character.isprintable() or character == "\n" for character in text)
    assert "[red]" in text


@pytest.mark.parametrize("text", [EVIL, "a'b", "$(reboot)", "\U0001f600", "é"])
def test_the_command_emits_just_what_was_made(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = view({"const": {"a": text}})

    shown(show_type, made, example_of(made))

    words = shlex.split(capsys.readouterr().out.strip())
    assert words[:4] == ["hookbus", "emit", "order_placed", "--data"]
    assert msgspec.json.decode(words[4]) == {"a": text}


def test_a_schema_that_nothing_can_be_made_for_says_so() -> None:
    impossible = view({"type": "string", "pattern": "^a{3}$"})

    assert example_of(impossible) == {}
    assert "put an example into the schema" in shown(show_type, impossible, {})


def test_what_a_file_has_to_say_is_toml_and_gives_the_schema() -> None:
    schema = {
        "type": "object",
        "description": 'a "quoted"\ntext',
        "properties": {"a.b": {"enum": [1, 2.5]}},
    }

    text = type_as_toml("chat.order_placed", schema)

    assert tomllib.loads(text) == {"types": {"chat.order_placed": {"schema": schema}}}


def test_a_schema_with_null_which_toml_cannot_say_stays_in_its_file() -> None:
    text = type_as_toml("order_placed", {"enum": [None]})

    assert tomllib.loads(text) == {"types": {"order_placed": {"schema": "order_placed.json"}}}
