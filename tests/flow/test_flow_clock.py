"""A wall clock that is off: no decision hangs on it, only how long an operator's mode lasts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hookbus import subjects
from hookbus.dispatch.role import DispatcherRole
from tests.flow.bus import Bus
from tests.flow.scripted import SILENCE, Scripted, says

YEAR = 365 * 24 * 3_600


async def dispatcher_at(bus: Bus, now: Callable[[], float]) -> DispatcherRole:
    """A dispatcher whose wall clock says *now*."""
    transport = await bus.connect("dispatcher")
    bus.dispatcher_transport = transport
    role = DispatcherRole(
        transport,
        lambda: bus.engine.bucket(transport, subjects.CONFIG_BUCKET),
        version="0.1.0",
        now=now,
    )
    await role.start()
    bus.dispatchers.append(role)
    bus._closing.append(role.stop)
    return role


@pytest.mark.parametrize("years", [-1, 1])
async def test_a_clock_that_is_a_year_off_changes_no_decision_and_no_timeout(
    bus: Bus, years: int
) -> None:
    await bus.start_registry()
    await dispatcher_at(bus, lambda: time.time() + years * YEAR)
    await bus.add(Scripted("a", says("block", reason="no"), SILENCE, timeout_ms=200))

    said = await bus.emit(time="1999-01-01T00:00:00Z")
    silent, seconds = await bus.timed(bus.emit())

    assert (said.code, said.reason) == (None, "a: no")
    assert (silent.cause, silent.code) == ("failure", "timeout")
    assert 0.1 < seconds < 2.0


async def test_a_dispatcher_whose_clock_is_ahead_ends_a_mode_too_early_and_says_so(
    memory_bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    bus = memory_bus
    await bus.start_registry()
    await dispatcher_at(bus, lambda: time.time() + YEAR)
    await bus.add(Scripted("a", says("block", reason="no")))

    await bus.control("mode", plugin="a", mode="shadow", for_s=3_600)
    await bus.served()
    await bus.until(lambda: "a mode is over, and no registry made a generation" in caplog.text)

    assert (await bus.emit()).outcome == "block"  # enforced again: the stricter of the two
