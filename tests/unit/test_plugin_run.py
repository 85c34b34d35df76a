"""`plugin.run()`: what its author sees when it cannot serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from hookbus import HookEvent, Plugin
from hookbus.plugin import run
from hookbus.plugin.serve import AnnounceAnswer


def declared() -> Plugin:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("x_done", phase="validate")
    async def hook(event: HookEvent[Any]) -> None: ...

    return plugin


def test_within_a_running_loop_it_says_how_to_serve_there() -> None:
    async def scenario() -> None:
        declared().run()

    with pytest.raises(RuntimeError, match=r"plugin 'a': run\(\).* await .*PluginServer"):
        asyncio.run(scenario())


def test_an_interrupt_before_the_loop_listens_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(main: Coroutine[Any, Any, bool]) -> bool:
        main.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_loop", interrupted)

    with pytest.raises(SystemExit) as ended:
        declared().run()

    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HOOKBUS_NATS_URL", "http://nats"), ("HOOKBUS_TLS_CA", "none.pem")],
)
def test_a_variable_that_is_wrong_ends_it_with_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SystemExit, match=r"plugin 'a' cannot be served: HOOKBUS_.* expected"):
        declared().run()


@pytest.mark.parametrize(
    ("at", "told"), [("", "not named"), ("hooks[0].phase", "hooks[0].phase: not named")]
)
def test_why_it_is_pending_is_told_with_the_place_if_there_is_one(
    caplog: pytest.LogCaptureFixture, at: str, told: str
) -> None:
    answer = AnnounceAnswer(1, "pending", problems=[{"at": at, "message": "not named"}])

    run._report(declared(), answer)

    assert caplog.messages == [f"a 1.0.0 is pending: {told}"]


def test_what_an_exception_quotes_cannot_steer_a_terminal_nor_look_like_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raised(main: Coroutine[Any, Any, bool]) -> bool:
        main.close()
        try:
            raise ValueError("boom\x1b[2J\rINFO own forged\nINFO own forged, too")
        except ValueError:
            logging.getLogger("own").exception("handler_failed\nINFO own forged as well")
        return False

    monkeypatch.setattr(run, "run_loop", raised)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a plugin that sets up none

    declared().run()

    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    first, *others = printed.splitlines()
    assert first == "ERROR own handler_failed"
    assert [line for line in others if not line.startswith("  ")] == []
    assert "  ValueError: boom[2J" in others
