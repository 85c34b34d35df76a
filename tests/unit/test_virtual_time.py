"""The event loop with virtual time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from hookbus.testing import Deadlock, run_virtual


async def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_of_waiting_takes_no_time_and_is_exact() -> None:
    async def scenario() -> tuple[float, float]:
        before = await now()
        await asyncio.sleep(3600)
        return before, await now()

    started = time.monotonic()

    assert run_virtual(scenario()) == (0.0, 3600.0)
    assert time.monotonic() - started < 60


def test_timers_fire_in_the_order_of_their_time() -> None:
    async def scenario() -> list[tuple[str, float]]:
        fired: list[tuple[str, float]] = []

        async def wait(name: str, delay: float) -> None:
            await asyncio.sleep(delay)
            fired.append((name, await now()))

        await asyncio.gather(wait("late", 5.0), wait("soon", 0.25), wait("middle", 1.0))
        return fired

    assert run_virtual(scenario()) == [("soon", 0.25), ("middle", 1.0), ("late", 5.0)]


def test_time_stands_still_while_something_is_ready() -> None:
    async def scenario() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return await now()

    assert run_virtual(scenario()) == 0.0


def test_a_timeout_ends_what_takes_longer() -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.Event().wait()
        return await now()

    assert run_virtual(scenario()) == 2.0


def test_waiting_for_what_cannot_happen_is_an_error_that_names_the_tasks() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"waiting: Task-\d+ in .*wait_for_ever"):
        run_virtual(wait_for_ever())


def test_a_job_in_a_thread_is_waited_for() -> None:
    async def scenario() -> int:
        return await asyncio.to_thread(lambda: sum(range(10)))

    assert run_virtual(scenario()) == 45


def test_no_timer_overtakes_a_job_in_a_thread() -> None:
    async def scenario() -> str:
        release = threading.Event()
        asyncio.get_running_loop().call_later(0.01, release.set)
        async with asyncio.timeout(60):
            await asyncio.to_thread(release.wait)
        return "released"

    assert run_virtual(scenario()) == "released"


def test_time_is_virtual_again_after_a_job_in_a_thread() -> None:
    async def scenario() -> float:
        await asyncio.to_thread(int)
        before = await now()
        await asyncio.sleep(3600)
        return await now() - before

    assert run_virtual(scenario()) == pytest.approx(3600.0)


def test_the_error_of_the_scenario_comes_out() -> None:
    async def scenario() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_virtual(scenario())
