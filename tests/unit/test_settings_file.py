"""Settings written as TOML say the same when they are read again."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookbus.cli.app import make_app
from hookbus.cli.errors import UsageError
from hookbus.cli.settings.file import read_file, rows_of, to_apply, to_toml
from hookbus.config.flatten import Row, flatten
from hookbus.config.settings import Settings, parse_settings
from hookbus.errors import SettingsError

EVERYTHING: dict[str, Any] = {
    "mode": "development",
    "timeout_ms": 900,
    "max_event_bytes": "64KiB",
    "trace_sampling": 0.5,
    "breaker": {"failures": 3},
    "streams": {"DLQ": {"max_age": "2d"}},
    "types": {
        "chat.sent": {
            "schema": {"type": "object", "properties": {"a b": {"enum": ["ü", 1.5, True]}}},
            "secret": ["/user/e~1mail"],
        },
        "tool_invoked": {},
    },
    "plugins": {
        "guard": {
            "config": {"quote": '"\\\n\t\x7f\u2028', "deep": [{"x": []}, 1e300, -1]},
            "hooks": {"tool-invoked": {"type": "tool_invoked", "priority": 10, "when": ["true"]}},
        }
    },
}
NOTHING_LISTED: dict[str, Any] = {"plugins": []}


def values(settings: Settings) -> dict[str, Any]:
    return {row.key: row.value for row in flatten(settings)}


def as_file(tree: dict[str, Any], file: Path) -> Path:
    rows = flatten(parse_settings(tree, "the test"))
    plain = [Row(row.key, _plain(row.value), row.origin) for row in rows]
    file.write_text("\n".join(to_toml(plain)))
    return file


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("tree", [{"mode": "production"}, EVERYTHING])
def test_settings_as_a_file_give_the_same_settings_again(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    file = as_file(tree, tmp_path / "hookbus.toml")

    assert values(read_file(file)) == values(parse_settings(tree, "the test"))


def test_the_tree_of_a_file_gives_the_same_settings_again(tmp_path: Path) -> None:
    settings = read_file(as_file(EVERYTHING, tmp_path / "hookbus.toml"))

    assert values(parse_settings(to_apply(settings), "the test")) == values(settings)


def test_defaults_stand_in_the_file_as_comments(tmp_path: Path) -> None:
    file = as_file({"mode": "production", "timeout_ms": 900}, tmp_path / "hookbus.toml")

    lines = file.read_text().splitlines()
    assert lines[:3] == ['mode = "production"', "timeout_ms = 900", "# max_timeout_ms = 30000"]


def test_a_tree_names_no_mode_that_the_file_does_not_name(tmp_path: Path) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text("timeout_ms = 900\n")

    assert to_apply(read_file(file)) == {"timeout_ms": 900}


def test_the_environment_does_not_change_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOKBUS_TIMEOUT_MS", "1")
    file = tmp_path / "hookbus.toml"
    file.write_text("timeout_ms = 900\n")

    assert read_file(file).timeout_ms == 900


def test_a_hook_that_is_only_named_is_named_in_the_file() -> None:
    hook = {"name": "tool-invoked", "origin": "settings"}
    announced = {"name": "other", "origin": "announcement"}
    listed = {"plugins": [{"plugin": "guard", "hooks": [hook, announced]}]}

    rows = rows_of({"settings": []}, listed)

    assert list(to_toml(rows)) == ["", "[plugins.guard.hooks]", "tool-invoked = {}"]


def test_null_is_refused_with_its_place() -> None:
    rows = [Row("plugins.guard.config", {"a": [None]}, "applied")]

    with pytest.raises(UsageError, match=r"plugins\.guard\.config\.a\[0\]: TOML cannot say null"):
        list(to_toml(rows))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timeout_ms = 5", "timeout_ms: expected 10 or more, got 5"),
        ("timeout_ms = x", "expected TOML: Invalid value (at line 1"),
        ("[types.a]\nschema = {type = 'thing'}", "types.a.schema: expected a JSON Schema"),
        (
            "[plugins.p.hooks.h]\nwhen = ['true', '1 +']",
            "plugins.p.hooks.h.when[1]: does not compile",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text(text)

    with pytest.raises(SettingsError) as error:
        read_file(file)

    assert re.search(rf"{re.escape(str(file))}(:\d)?: {re.escape(said)}", str(error.value))


def test_a_hook_on_a_type_that_the_bus_would_refuse_is_found(tmp_path: Path) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text('[plugins.g.hooks.h]\ntype = "tool_invokt"\nphase = "validate"\n')

    with pytest.raises(SettingsError, match=r"plugins\.g\.hooks\.h\.type: 'tool_invokt' is not"):
        read_file(file)


@pytest.mark.parametrize(
    ("mode", "code", "consequence"),
    [("production", 1, "a registry refuses to start"), ("development", 0, "the hook is not bound")],
)
def test_a_hook_without_type_or_phase_is_said(
    tmp_path: Path, mode: str, code: int, consequence: str
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text(f'mode = "{mode}"\n[plugins.g.hooks.h]\ntype = "tool_invoked"\n')

    result = CliRunner().invoke(make_app(["settings"]), ["settings", "check", str(file)])

    assert result.exit_code == code
    assert (
        f"plugins.g.hooks.h.phase: not said: {consequence} until the plugin has announced it"
        in result.stdout
    )


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "hookbus.toml"
    os.mkfifo(pipe)

    for file in (pipe, Path("/dev/zero")):
        with pytest.raises(SettingsError, match="cannot be read: not a regular file"):
            read_file(file)


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Shapes, contradictions and what cannot be bound; what only follows from these is not said."""
    file = tmp_path / "hookbus.toml"
    file.write_text(
        "timeout_ms = 5\n"
        "[plugins.guard.hooks.h]\n"
        'type = "message_recieved"\n'
        'phase = "validate"\n'
        'when = ["data.text =="]\n'
        "timeout_ms = 0\n"
        "[plugins.other.hooks.h]\n"
        'phase = "validat"\n'
        "[breaker]\n"
        "open_ms = 50000\n"
        "unknown = 1\n"
    )

    with pytest.raises(SettingsError) as error:
        read_file(file)

    lines = [line.removeprefix(f"{file}:").split(" ")[:2] for line in str(error.value).split("\n")]
    assert lines == [
        ["1:", "timeout_ms:"],
        ["3:", "plugins.guard.hooks.h.type:"],
        ["5:", "plugins.guard.hooks.h.when[0]:"],
        ["6:", "plugins.guard.hooks.h.timeout_ms:"],
        ["8:", "plugins.other.hooks.h.phase:"],
        ["10:", "breaker.open_ms:"],
        ["11:", "breaker.unknown:"],
    ]


def test_what_would_do_something_to_a_terminal_is_written_as_an_escape() -> None:
    row = Row("plugins.a.config.text", "\x9b31m\u202e\x07ä✓", "hookbus.toml")

    text = "\n".join(to_toml([row]))

    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert tomllib.loads(text)["plugins"]["a"]["config"]["text"] == row.value
    assert "ä✓" in text
