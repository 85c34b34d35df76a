"""What a plugin's log says of handlers that fail often."""

from __future__ import annotations

import pytest

from hookbus.plugin.handler_lines import HandlerLines
from hookbus.seldom import EVERY


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def raised_here(error: Exception) -> Exception:
    try:
        raise error
    except Exception as e:
        return e


def raised_there(error: Exception) -> Exception:
    try:
        raise error
    except Exception as e:
        return e


def test_a_handler_that_raises_often_is_one_traceback_in_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    lines = HandlerLines(clock)

    for number in range(300):
        lines.raised("look", raised_here(KeyError(number)))
    clock.now += EVERY
    lines.raised("look", raised_here(KeyError("again")))

    assert caplog.messages == ["handler_failed hook=look", "handler_failed hook=look left_out=299"]
    assert caplog.text.count("Traceback") == 2


def test_another_exception_another_place_and_another_hook_are_lines_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = HandlerLines(Clock())

    for _ in range(2):
        lines.raised("look", raised_here(KeyError("a")))
        lines.raised("look", raised_here(ValueError("b")))
        lines.raised("look", raised_there(KeyError("c")))
        lines.raised("hear", raised_here(KeyError("d")))

    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == [
        "'a'",
        "b",
        "'c'",
        "'d'",
    ]


def test_a_handler_that_is_always_late_is_one_line_in_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = HandlerLines(Clock())

    for _ in range(100):
        lines.warn("handler_timed_out", "look", timeout_ms=50)
        lines.warn("malformed_call", "look", "no JSON")
    lines.warn("handler_timed_out", "hear", timeout_ms=50)

    assert caplog.messages == [
        "handler_timed_out hook=look timeout_ms=50",
        "malformed_call hook=look; no JSON",
        "handler_timed_out hook=hear timeout_ms=50",
    ]
