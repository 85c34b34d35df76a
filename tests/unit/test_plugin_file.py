"""`hookbus test PATH`: one plugin file and one event, without a bus."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hookbus.cli.app import run

HEAD = "from hookbus import *\n"
CALM = f"""{HEAD}
plugin = Plugin("calm", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=5000)
async def calm(event: HookEvent[MessageReceived]) -> Verdict | None:
    if event.data.text.isupper():
        return Block("all capitals", code="loud", message="Calm.")
"""
CHANGES = f"""{HEAD}
plugin = Plugin("changes", version="1.0.0")

@plugin.hook("message_received", phase="mutate", writable=["/text"], timeout_ms=5000)
def change(event: HookEvent) -> Verdict:
    return Intercept(merge=event.data["merge"], warnings=("careful",))
"""
BODY = f"""{HEAD}
import asyncio, time
plugin = Plugin("body", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=20, mode="shadow", on_failure="open")
async def handler(event):
    BODY
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Write a plugin file and try it."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def tried(source: str | Path, *more: str, data: Any = None, type: str | None = None) -> Done:
        file = source if isinstance(source, Path) else tmp_path / "plugin.py"
        if isinstance(source, str):
            file.write_text(source)
        given = ["--type", type or "message_received", "--data", json.dumps(data or {"text": "HI"})]
        monkeypatch.setattr(sys, "argv", ["hookbus", "test", str(file), *given, *more])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfd.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return tried


def test_a_block_is_shown_with_who_and_why_and_is_exit_code_3(tried: Callable[..., Done]) -> None:
    done = tried(CALM)

    assert done.code == 3
    for said in ("✗ block", "calm blocked it: all capitals (loud)", "to the user: Calm."):
        assert said in done.out
    assert done.err == ""


def test_a_continue_is_exit_code_0(tried: Callable[..., Done]) -> None:
    done = tried(CALM, data={"text": "hi"})

    assert (done.code, done.err) == (0, "")
    assert "message-received (validate): continue in" in done.out


def test_a_change_is_shown_before_and_after(tried: Callable[..., Done]) -> None:
    done = tried(CHANGES, data={"text": "old", "merge": {"text": "new"}})

    assert done.code == 0
    for said in (
        "~ intercept",
        "changes changed /text",
        "- old",
        "+ new",
        "warning changes: careful",
    ):
        assert said in done.out


def test_a_change_of_what_may_not_be_written_failed(tried: Callable[..., Done]) -> None:
    done = tried(CHANGES, data={"text": "old", "merge": {"user": "root"}})

    assert done.code == 4
    assert "forbidden_write" in done.out
    assert "/user" in done.out


def test_changed_data_that_does_not_fit_the_type_is_blocked(tried: Callable[..., Done]) -> None:
    done = tried(CHANGES, data={"text": "old", "merge": {"text": None}})

    assert done.code == 4
    assert "schema" in done.out


def test_an_event_that_does_not_fit_its_type_is_exit_code_2(tried: Callable[..., Done]) -> None:
    done = tried(CALM, data={"words": "hi"})

    assert (done.code, done.out) == (2, "")
    assert """schema at '/data/text': "text" is a required property""" in done.err


def test_json_is_the_decision_and_all_that_is_printed_goes_to_stderr(
    tried: Callable[..., Done],
) -> None:
    printing = CALM.replace("    if", "    print('from the handler')\n    if")
    done = tried(f"print('from the module')\n{printing}", "--json")

    said = done.json()
    assert (said["plugin"], said["decision"]["code"], said["observed"]) == ("calm", "loud", {})
    assert done.err.splitlines() == ["from the module", "from the handler"]


@pytest.mark.parametrize("guard", ["", "if __name__ == '__main__':\n    "])
def test_a_file_that_runs_its_plugin_does_not_serve_it(
    tried: Callable[..., Done], guard: str
) -> None:
    done = tried(f"{CALM}\n{guard}plugin.run()\n{guard}print('behind it')")

    assert (done.code, done.err) == (3, "")


def test_a_handler_that_raises_failed_whatever_its_on_failure_says(
    tried: Callable[..., Done],
) -> None:
    done = tried(BODY.replace("BODY", "raise ValueError('no such thing')"))

    assert done.code == 4
    assert "body failed: service_error" in done.out
    traceback = done.err.splitlines()
    assert traceback[-1] == "ValueError: no such thing"
    assert [line for line in traceback if "File" in line] == [
        line for line in traceback if "plugin.py" in line
    ]


def test_a_handler_that_is_late_failed_after_its_own_timeout(tried: Callable[..., Done]) -> None:
    done = tried(BODY.replace("BODY", "await asyncio.sleep(60)"))

    assert done.code == 4
    assert "timeout: no answer within 20 ms" in done.out


def test_a_handler_that_holds_the_loop_is_stopped_and_named(
    tried: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookbus.cli.test.trial.GRACE", 0.05)
    done = tried(BODY.replace("BODY", "time.sleep(60)"))

    assert done.code == 4
    assert "held the event loop" in done.err
    assert "time.sleep(60)" in done.err


@pytest.mark.parametrize("code", ["", "0", "3"])
def test_a_handler_that_ends_the_process_has_decided_nothing(
    tried: Callable[..., Done], code: str
) -> None:
    done = tried(BODY.replace("BODY", f"raise SystemExit({code})"))

    assert (done.code, done.out) == (4, "")
    assert "the handler ended the process" in done.err


def test_what_is_no_verdict_failed(tried: Callable[..., Done]) -> None:
    done = tried(BODY.replace("BODY", "return 'no'"))

    assert done.code == 4
    assert "returned str, expected" in done.out


def test_hooks_whose_conditions_do_not_hold_are_said_not_to_be_asked(
    tried: Callable[..., Done],
) -> None:
    source = CALM.replace('phase="validate"', "phase='validate', when=['data.text == \"no\"']")
    done = tried(source)

    assert done.code == 0
    assert "message-received (validate): not asked" in done.out


TWO_HOOKS = f"""{HEAD}
plugin = Plugin("two", version="1.0.0")

@plugin.hook("message_received", phase="validate", name="first")
async def first(event: HookEvent) -> Verdict | None:
    return Block(plugin.config.get("reason", "nothing said"))

@plugin.hook("message_received", phase="observe", name="second")
async def second(event: HookEvent) -> None:
    raise RuntimeError("not stored")
"""


def test_config_reaches_the_plugin(tried: Callable[..., Done]) -> None:
    done = tried(TWO_HOOKS, "--config", '{"reason": "because"}', "--json")

    assert done.json()["decision"]["reason"] == "two: because"


def test_only_the_named_hook_is_asked(tried: Callable[..., Done]) -> None:
    done = tried(TWO_HOOKS, "--hook", "second", "--json")

    said = done.json()
    assert said["decision"]["records"] == []
    assert "service_error" in said["observed"]["second"]
    assert done.code == 4
    assert "RuntimeError: not stored" in done.err


def test_a_settings_file_gives_types_and_what_it_says_of_the_plugin(
    tried: Callable[..., Done], tmp_path: Path
) -> None:
    settings = tmp_path / "hookbus.toml"
    settings.write_text(
        "[types.order_placed.schema]\nrequired = ['total']\n"
        "[plugins.calm.hooks.message-received]\nwhen = ['data.text == \"no\"']\n"
        "[plugins.other.hooks.thing]\ntype = 'message_received'\nphase = 'validate'\n"
    )
    done = tried(CALM, "--settings", str(settings))
    assert "not asked" in done.out

    orders = CALM.replace("message_received", "order_placed").replace('"calm"', '"orders"')
    refused = tried(orders, "--settings", str(settings), type="order_placed")
    assert "/data/total" in refused.err


def test_a_type_that_nobody_knows_has_no_schema_and_that_is_said(
    tried: Callable[..., Done],
) -> None:
    done = tried(CALM.replace("message_received", "order_placed"), type="order_placed")

    assert done.code == 3
    assert "no schema" in done.out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "plugin.py:1: expected Python: '(' was never closed"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "ends the process while it is loaded"),
        ("x = 1", "expected a plugin such as"),
        (f"{HEAD}a = Plugin('a', version='1.0.0')\nb = Plugin('b', version='1.0.0')", "found a, b"),
        (f"{HEAD}plugin = Plugin('a', version='1')", "expected a SemVer version"),
        (CALM.replace('"message_received"', '"tool_invoked"'), "has no hook on 'message_received'"),
        (
            CALM.replace("phase=", "when=['nope('], phase="),
            "is refused: hooks.message-received.when[0]: does not compile",
        ),
    ],
)
def test_a_file_that_cannot_be_tried_says_why_and_is_exit_code_2(
    tried: Callable[..., Done], source: str, said: str
) -> None:
    done = tried(source)

    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_who_gives_no_python_file_is_told_what_to_do_instead(
    tried: Callable[..., Done], tmp_path: Path
) -> None:
    script = tmp_path / "plugin.mjs"
    script.write_text("export {}")

    assert "hookbus conformance plugin NAME" in tried(script).err
    assert "there is no such file" in tried(tmp_path / "nothing.py").err
    assert "expected a plugin.py" in tried(tmp_path).err


def test_an_error_shows_no_traceback_of_ours_when_the_file_itself_raises(
    tried: Callable[..., Done],
) -> None:
    done = tried("def fail():\n    raise RuntimeError('oh')\nfail()")

    frames = [line for line in done.err.splitlines() if line.startswith("  File")]
    assert [frame.partition("plugin.py")[2] for frame in frames] == [
        '", line 3, in <module>',
        '", line 2, in fail',
    ]
