"""What every command has: an example that its own parser takes, --json, and completion."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from hookbus.cli.app import COMMANDS, completed, make_app

#: `serve` logs JSON with --json-logs; the others only group commands.
WITHOUT_JSON = ("", "serve", "conformance")


def commands() -> dict[str, Any]:
    """Every command there is by its words; the command line itself is ""."""
    return dict(_commands(typer.main.get_command(make_app([])), ""))


def _commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield words, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{words} {word}".strip())


def examples(command: Any) -> list[str]:
    return re.findall(r"^Example: (.*)$", command.help or "", re.MULTILINE)


@pytest.mark.parametrize("words", commands())
def test_every_help_has_an_example_that_can_be_parsed(words: str) -> None:
    command = commands()[words]

    found = examples(command)

    assert found
    for example in found:
        program, *given = shlex.split(example)
        assert (program, given[: len(words.split())]) == ("hookbus", words.split())
        _parse(given)


def _parse(given: list[str]) -> None:
    """Let the command's own parser take *given*, and run nothing; a wrong option is an error."""
    known = commands()
    length = max(n for n in range(len(given) + 1) if " ".join(given[:n]) in known)
    words = " ".join(given[:length])
    known[words].make_context(words, given[length:])


@pytest.mark.parametrize("words", [words for words in commands() if words not in WITHOUT_JSON])
def test_every_command_has_json(words: str) -> None:
    options = [option for p in commands()[words].params for option in p.opts]

    assert "--json" in options


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, []),
        ({"COMP_WORDS": "hookbus plugins"}, []),
        (
            {"_HOOKBUS_COMPLETE": "complete_bash", "COMP_WORDS": "hookbus plugins s"},
            ["plugins", "s"],
        ),
        ({"_HOOKBUS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "hookbus pl"}, ["pl"]),
        ({"_HOOKBUS_COMPLETE": "complete_fish"}, []),
    ],
)
def test_the_line_that_a_shell_completes_tells_which_command_is_loaded(
    environ: dict[str, str], words: list[str]
) -> None:
    assert completed(environ) == words


def test_only_the_command_that_is_called_is_loaded() -> None:
    assert [group.name for group in make_app(["plugins", "sh"]).registered_groups] == ["plugins"]
    assert len(commands()[""].commands) == len(COMMANDS)
