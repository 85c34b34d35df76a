"""Deadlines of calls, and what a process that stood still makes of them."""

from __future__ import annotations

import asyncio

from hookbus.runtimes.timers import CATCH_UP, STALLED, Timers


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_stood_still_reads_what_came_before_it_calls_anything_late() -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        clock, due = Clock(), list[str]()
        timers = Timers(clock, due.append)
        timers.set(100.001, "unanswered")
        answered = timers.set(100.001, "answered meanwhile")
        clock.now += STALLED + 1.0
        await asyncio.sleep(CATCH_UP / 2)  # its timer has fired, and is told of the stall
        at_once = list(due)
        timers.cancel(answered)
        clock.now += CATCH_UP
        while not due:
            await asyncio.sleep(0)
        return at_once, due

    at_once, due = asyncio.run(scenario())

    assert at_once == []
    assert due == ["unanswered"]


def test_a_timer_that_comes_a_little_late_calls_at_once() -> None:
    async def scenario() -> list[str]:
        clock, due = Clock(), list[str]()
        Timers(clock, due.append).set(100.001, "late")
        clock.now += STALLED / 2
        while not due:
            await asyncio.sleep(0)
        return due

    assert asyncio.run(scenario()) == ["late"]
