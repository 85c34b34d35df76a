"""A connection that may come later than the emitter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hookbus import ConnectFailed, Emitter, Unavailable
from hookbus.errors import Disconnected
from hookbus.link import Link
from hookbus.message import Message
from hookbus.testing.memory import MemoryBroker, MemoryTransport
from hookbus.transport import Transport

NOWHERE = "nats://127.0.0.1:1"


def after(failures: int, attempts: list[int]) -> Callable[[], Awaitable[Transport]]:
    """Connect, but not before the attempt that follows so many failures."""

    async def connect() -> Transport:
        attempts.append(len(attempts) + 1)
        await asyncio.sleep(0)
        if len(attempts) <= failures:
            raise ConnectFailed(f"attempt {len(attempts)}")
        return MemoryTransport(MemoryBroker())

    return connect


def test_all_who_open_a_link_share_one_attempt_and_its_failure() -> None:
    async def scenario() -> None:
        attempts: list[int] = []
        link = Link(after(1, attempts))

        ends = await asyncio.gather(*(link.open() for _ in range(5)), return_exceptions=True)
        assert [str(end) for end in ends] == ["attempt 1"] * 5
        with pytest.raises(Disconnected, match="attempt 1"):
            _ = link.transport

        await link.open()
        assert len(attempts) == 2
        assert link.transport.is_connected
        await link.close()

    asyncio.run(scenario())


def test_a_link_that_keeps_trying_fails_at_once_until_an_attempt_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hookbus.link.PAUSE", 0.01)

    async def scenario() -> None:
        attempts: list[int] = []
        link = Link(after(3, attempts), keeps_trying=True)

        for _ in range(5):
            with pytest.raises(ConnectFailed, match="attempt 1"):
                await link.open()
        while len(attempts) < 4:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.01)

        assert link.transport.is_connected
        await link.close()

    asyncio.run(scenario())


def test_closing_ends_the_attempts_and_who_waits_for_them() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()

        async def never() -> Transport:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        link = Link(never, keeps_trying=True)
        waiting = asyncio.ensure_future(link.open())
        await asyncio.sleep(0.01)
        await link.close()

        with pytest.raises(ConnectFailed, match="the emitter was closed"):
            await waiting
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_options_that_are_wrong_are_said_and_not_tried_again() -> None:
    async def scenario() -> None:
        async def connect() -> Transport:
            raise TypeError("tls: expected a context")

        link = Link(connect, keeps_trying=True)
        with pytest.raises(TypeError, match="expected a context"):
            await link.open()
        await link.close()

    asyncio.run(scenario())


def test_entering_an_emitter_that_raises_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        with pytest.raises(ConnectFailed):
            await Emitter.connect(NOWHERE, source="/x", connect_timeout=0.05).__aenter__()
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


@pytest.mark.parametrize("choice", ["block", "continue"])
def test_an_emitter_that_never_reaches_a_broker_does_what_was_chosen_and_closes(
    choice: str,
) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        async with Emitter.connect(
            NOWHERE, source="/x", on_unavailable=choice, connect_timeout=0.05
        ) as bus:
            assert (await bus.emit("message_received", {"text": "hi"})).outcome == choice
            with pytest.raises(Unavailable):
                await bus.notify("message_received", {"text": "hi"})
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


class Gone:
    """Stands for a connection; what it says came over the bus."""

    is_connected = False

    async def request(self, subject: str, data: bytes, **options: object) -> Message:
        raise Disconnected("lost\x1b[2J\nforged")


def test_a_hundred_emits_without_a_decision_are_one_line_that_no_terminal_obeys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        bus = Emitter(Gone(), source="/x", on_unavailable="continue")
        for _ in range(100):
            assert (await bus.emit("message_received", {"text": "hi"})).degraded

    asyncio.run(scenario())

    assert caplog.messages == [
        "no_decision: disconnected: not connected to the broker: lost[2J forged;"
        " on_unavailable=continue"
    ]
