"""How a handler can end that neither returns nor just raises: nobody waits for it in vain."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hookbus import HookEvent, MessageReceived, Plugin
from tests.flow.bus import Bus

SLOW = 2_000  # milliseconds


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        GeneratorExit(),
        BaseException("hunter2"),
        StopIteration(),
        TimeoutError("hunter2"),
        RecursionError(),
    ],
)
@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_whatever_a_handler_raises_is_a_service_error_at_once(
    bus: Bus, error: BaseException, kind: str
) -> None:
    plugin = Plugin("a", version="1.0.0")

    async def in_the_loop(event: HookEvent[Any]) -> None:
        raise error

    def in_a_thread(event: HookEvent[Any]) -> None:
        raise error

    handler = in_the_loop if kind == "async" else in_a_thread
    plugin.hook("message_received", phase="validate", timeout_ms=SLOW)(handler)
    await bus.start()
    server = await bus.serve(plugin)

    decision, seconds = await bus.timed(bus.emit())
    again = await bus.emit()

    assert (decision.code, again.code) == ("service_error", "service_error")
    assert decision.records[0].reason == "the handler raised; see the plugin's log"
    assert seconds < 1.0
    assert server.stuck_threads == 0


async def test_a_handler_that_cancels_itself_is_a_service_error_at_once(bus: Bus) -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    async def cancel(event: HookEvent[MessageReceived]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    await bus.start()
    await bus.serve(plugin)

    decision, seconds = await bus.timed(bus.emit())

    assert (decision.code, decision.records[0].reason) == (
        "service_error",
        "the handler was cancelled",
    )
    assert seconds < 1.0


async def test_a_handler_that_is_cancelled_from_outside_stays_cancelled(bus: Bus) -> None:
    running: list[asyncio.Task[Any]] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    async def wait(event: HookEvent[MessageReceived]) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.append(task)
        await asyncio.Event().wait()

    await bus.start()
    await bus.serve(plugin)
    emit = bus.begin(bus.emit())
    await bus.until(lambda: bool(running))

    running[0].cancel()
    decision = await emit

    assert decision.code == "service_error"
    assert running[0].cancelled()


async def test_a_handler_that_blocks_the_loop_beyond_its_timeout_is_reported(
    nats_bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=50)
    async def block(event: HookEvent[MessageReceived]) -> None:
        time.sleep(0.1)

    await nats_bus.start()
    await nats_bus.serve(plugin)

    await nats_bus.emit()
    await nats_bus.until(lambda: "handler_blocked_the_loop hook=message-received" in caplog.text)

    assert "timeout_ms=" in caplog.text
