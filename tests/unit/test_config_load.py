"""Settings from a file and the environment, and where each value came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hookbus.config.flatten import Row, flatten
from hookbus.config.load import load_settings
from hookbus.errors import SettingsError

#: protocol.md, section 5
PROTOCOL_EXAMPLE = """
mode = "production"
[types.message_received]
conflict = "block"
secret = ["/user/email"]
[plugins.redact-secrets.config]
level = 3
[plugins.redact-secrets.hooks.message-received]
type = "message_received"
phase = "mutate"
priority = 10
on_failure = "closed"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which we stand."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_the_protocol_is_read(folder: Path) -> None:
    (folder / "hookbus.toml").write_text(PROTOCOL_EXAMPLE)

    settings = load_settings(environ={})

    plugin = settings.plugins["redact-secrets"]
    assert settings.types["message_received"].secret == ("/user/email",)
    assert plugin.config == {"level": 3}
    assert plugin.hooks["message-received"].explicit() == {
        "type": "message_received",
        "phase": "mutate",
        "priority": 10,
        "on_failure": "closed",
    }


def test_without_a_file_everything_is_default(folder: Path) -> None:
    settings = load_settings(environ={})

    assert {row.origin for row in flatten(settings)} == {"default"}


def test_the_default_mode_is_the_callers_and_the_file_wins(folder: Path) -> None:
    (folder / "other.toml").write_text('mode = "production"')

    assert load_settings(environ={}).mode == "production"
    assert load_settings(environ={}, default_mode="development").mode == "development"
    assert load_settings(Path("other.toml"), {}, default_mode="development").mode == "production"


def test_a_named_file_wins_over_the_variable_and_the_variable_over_the_default(
    folder: Path,
) -> None:
    (folder / "hookbus.toml").write_text("max_depth = 1")
    (folder / "variable.toml").write_text("max_depth = 2")
    (folder / "named.toml").write_text("max_depth = 3")
    environ = {"HOOKBUS_SETTINGS": "variable.toml"}

    assert load_settings(environ={}).max_depth == 1
    assert load_settings(environ=environ).max_depth == 2
    assert load_settings(Path("named.toml"), environ).max_depth == 3


def test_a_variable_wins_over_the_file(folder: Path) -> None:
    (folder / "hookbus.toml").write_text("timeout_ms = 500\ntrace_sampling = 0.5\nmax_depth = 9")
    environ = {
        "HOOKBUS_TIMEOUT_MS": "700",
        "HOOKBUS_TRACE_SAMPLING": "0.25",
        "HOOKBUS_MODE": "development",
        "HOOKBUS_MAX_EVENT_BYTES": "64KiB",
        "HOOKBUS_MAX_DEPTH": "",
        "HOOKBUS_PORT": "tcp://10.0.0.1:8080",
        "HOOKBUS_STREAMS": "ignored",
    }

    settings = load_settings(environ=environ)

    assert settings.timeout_ms == 700
    assert settings.trace_sampling == 0.25
    assert settings.mode == "development"
    assert settings.max_event_bytes == 65_536
    assert settings.max_depth == 9


def test_the_environment_is_read_when_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKBUS_MAX_DEPTH", "8")

    assert load_settings().max_depth == 8


MANIFEST = """
name = "guard"
version = "1.0.0"
[[hooks]]
name = "look"
type = "tool_invoked"
phase = "validate"
timeout_ms = 200
"""


def test_files_are_looked_for_beside_the_settings_file(folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "chat.json").write_text('{"type": "object"}')
    (folder / "etc" / "bus.toml").write_text(
        'types.chat.schema = "chat.json"\nplugins.guard.manifest = "guard/plugin.toml"'
    )
    (folder / "etc" / "guard").mkdir()
    (folder / "etc" / "guard" / "plugin.toml").write_text(MANIFEST)

    settings = load_settings(Path("etc/bus.toml"), {})

    assert settings.types["chat"].json_schema == {"type": "object"}
    assert settings.plugins["guard"].hooks["look"].explicit() == {
        "type": "tool_invoked",
        "phase": "validate",
        "timeout_ms": 200,
    }


def test_a_manifest_names_all_its_hooks_and_what_the_operator_says_of_them_wins(
    folder: Path,
) -> None:
    (folder / "plugin.toml").write_text(MANIFEST + 'on_failure = "open"\n')
    (folder / "bus.toml").write_text(
        '[plugins.guard]\nmanifest = "plugin.toml"\nhooks.look.timeout_ms = 300'
    )

    [hook] = load_settings(Path("bus.toml"), {}).plugins["guard"].hooks.values()

    said = {"type": "tool_invoked", "phase": "validate", "timeout_ms": 300}
    assert hook.explicit() == said  # on_failure is the operator's alone (R18)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("x =", ": expected TOML: Invalid value (at end of document)"),
        ('name = "other"', ": expected name = 'guard', got 'other'"),
        ('name = "guard"', ": expected a table [[hooks]] for each hook, found none"),
        ('name = "guard"\nhooks = [1]', ": hooks[0]: expected a table with a name"),
    ],
)
def test_a_manifest_that_names_no_hook_is_refused(
    folder: Path, manifest: str | None, message: str
) -> None:
    if manifest is not None:
        (folder / "plugin.toml").write_text(manifest)
    (folder / "bus.toml").write_text('plugins.guard.manifest = "plugin.toml"')

    with pytest.raises(SettingsError) as refused:
        load_settings(Path("bus.toml"), {})

    at = "bus.toml: plugins.guard.manifest: 'plugin.toml'"
    assert str(refused.value) in (f"{at} {message}", f"{at}{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "mode = 'production'\ntimeout_ms = \n",
            "bus.toml: expected TOML: Invalid value (at line 2, column 14)",
        ),
        (
            "[plugins.guard-tools.hooks.tool-invoked]\ntimeout_ms = 0",
            "bus.toml:2: plugins.guard-tools.hooks.tool-invoked.timeout_ms: "
            "expected 1 … 30000, got 0",
        ),
        (
            "types.chat.schema = 'none.json'",
            "bus.toml: types.chat.schema: 'none.json' cannot be read: No such file or directory",
        ),
        (
            "# no JSON\ntypes.chat.schema = 'bus.toml'",
            "bus.toml: types.chat.schema: expected JSON in 'bus.toml': "
            "JSON is malformed: invalid character (byte 0)",
        ),
        ("types = 1", "bus.toml:1: types: expected an object, got 1"),
        ("types.chat = 'a'", "bus.toml:1: types.chat: expected an object, got 'a'"),
        (
            "plugins.guard.manifest = 1",
            "bus.toml:1: plugins.guard.manifest: expected a string, got 1",
        ),
    ],
)
def test_a_bad_file_is_named_with_line_or_field(folder: Path, text: str, message: str) -> None:
    (folder / "bus.toml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        load_settings(Path("bus.toml"), {})

    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 5000])
def test_a_file_that_python_gives_up_on_is_refused(folder: Path, value: str) -> None:
    (folder / "bus.toml").write_text(f"max_depth = {value}")

    with pytest.raises(SettingsError, match=r"^bus\.toml: expected TOML: "):
        load_settings(Path("bus.toml"), {})


def test_a_file_that_was_asked_for_must_be_there(folder: Path) -> None:
    message = r"none\.toml: cannot be read: No such file or directory"

    with pytest.raises(SettingsError, match=message):
        load_settings(Path("none.toml"), {})
    with pytest.raises(SettingsError, match=message):
        load_settings(environ={"HOOKBUS_SETTINGS": "none.toml"})


def test_a_file_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (folder / "bus.toml").write_bytes(b'mode = "\xff"')

    with pytest.raises(SettingsError, match=r"bus\.toml: expected UTF-8: "):
        load_settings(Path("bus.toml"), {})


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("HOOKBUS_TIMEOUT_MS", "2s", "expected an integer, got '2s'"),
        ("HOOKBUS_TIMEOUT_MS", "5", "expected 10 or more, got 5"),
        ("HOOKBUS_TIMEOUT_MS", "60000", "expected at most max_timeout_ms = 30000, got 60000"),
        ("HOOKBUS_MODE", "prod", "expected 'development' or 'production', got 'prod'"),
        ("HOOKBUS_TRACE_SAMPLING", "nan", "expected a finite number, got nan"),
    ],
)
def test_a_bad_variable_is_named(folder: Path, variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={variable: text})

    assert str(caught.value) == f"{variable}: {message}"


def test_each_row_tells_where_its_value_comes_from(folder: Path) -> None:
    (folder / "hookbus.toml").write_text(
        'timeout_ms = 1000\n[streams.DLQ]\nmax_age = "1d"\n'
        '[types."chat.sent"]\nmax_rounds = 3\nschema = {}\n'
        "[plugins.guard.hooks.tool-invoked]\npriority = 100"
    )

    rows = list(flatten(load_settings(environ={"HOOKBUS_MAX_DEPTH": "7"})))

    assert Row("mode", "production", "default") in rows
    assert Row("timeout_ms", 1000, "hookbus.toml") in rows
    assert Row("max_depth", 7, "HOOKBUS_MAX_DEPTH") in rows
    assert Row("breaker.failures", 5, "default") in rows
    assert Row("streams.DLQ.max_age", 86_400.0, "hookbus.toml") in rows
    assert Row("streams.DLQ.max_bytes", 268_435_456, "default") in rows
    assert Row('types."chat.sent".max_rounds', 3, "hookbus.toml") in rows
    assert Row('types."chat.sent".schema', {}, "hookbus.toml") in rows
    assert Row('types."chat.sent".conflict', "last_wins", "default") in rows
    assert [row for row in rows if row.key.startswith("plugins.guard.hooks")] == [
        Row("plugins.guard.hooks.tool-invoked.priority", 100, "hookbus.toml")
    ]
