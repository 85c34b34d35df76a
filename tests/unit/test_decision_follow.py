"""Following decisions: what is stored and what is decided now are told once each, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from hookbus import subjects
from hookbus.decision_log import follow as follow_module
from hookbus.decision_log.follow import Follower
from hookbus.decision_log.reader import Stored
from hookbus.decision_log.records import Recorded, Wanted
from hookbus.errors import TransportError
from hookbus.testing import MemoryBroker, MemoryTransport, run_virtual
from hookbus.wire.decision import encode_record
from tests.unit.decision_samples import FakeReader, decision


class Bus:
    """A broker whose stream keeps what is published, also what nobody hears."""

    def __init__(self, wanted: Wanted = Wanted()) -> None:  # noqa: B008 (it is frozen)
        self.broker = MemoryBroker()
        self.viewer = MemoryTransport(self.broker)
        self.dispatcher = MemoryTransport(self.broker)
        self.reader = FakeReader([], [])
        self.told: list[str] = []
        self.follower = Follower(self.viewer, self.reader, wanted, self._tell)

    def _tell(self, recorded: Recorded) -> None:
        self.told.append(recorded.decision.id)

    def store(self, name: str) -> bytes:
        now = int(datetime.now(UTC).timestamp() * 1e9)
        data = encode_record(decision(name))
        number = len(self.reader.stored) + 1
        subject = subjects.decision("continue", "tool_invoked")
        self.reader.stored.append(Stored(number, now, subject, data))
        return data

    async def decide(self, *names: str) -> None:
        for name in names:
            subject = subjects.decision("continue", "tool_invoked")
            await self.dispatcher.publish(subject, self.store(name))

    async def settle(self) -> None:
        await asyncio.sleep(1.0)


def following(scenario: Callable[[Bus], Awaitable[None]], start: int = 1) -> Bus:
    async def run() -> Bus:
        bus = Bus()
        bus.store("past")
        task = asyncio.ensure_future(bus.follower.run(start))
        await bus.settle()
        await scenario(bus)
        await bus.settle()
        task.cancel()
        await asyncio.wait([task])
        return bus

    return run_virtual(run())


def test_the_past_and_the_present_are_joined() -> None:
    async def scenario(bus: Bus) -> None:
        await bus.decide("a", "b")

    assert following(scenario).told == ["past", "a", "b"]


def test_it_begins_where_it_is_told_to() -> None:
    async def scenario(bus: Bus) -> None:
        await bus.decide("a")

    assert following(scenario, start=2).told == ["a"]


def test_what_was_decided_while_the_broker_was_away_is_told_before_what_comes_then() -> None:
    async def scenario(bus: Bus) -> None:
        await bus.decide("a")
        await bus.settle()
        bus.broker.disconnect(bus.viewer)
        bus.store("missed")
        await bus.settle()
        bus.broker.reconnect(bus.viewer)
        await bus.settle()
        await bus.decide("b")

    assert following(scenario).told == ["past", "a", "missed", "b"]


def test_while_it_reads_what_it_missed_it_hears_what_is_decided() -> None:
    async def scenario(bus: Bus) -> None:
        read = bus.reader.read

        async def slowly(*words: object, **options: object) -> None:
            await bus.decide("now")
            await bus.settle()
            await read(*words, **options)  # type: ignore[arg-type]

        bus.broker.disconnect(bus.viewer)
        bus.store("missed")
        bus.reader.read = slowly  # type: ignore[assignment, method-assign]
        bus.broker.reconnect(bus.viewer)
        await bus.settle()
        await bus.settle()

    assert following(scenario).told == ["past", "missed", "now"]


def test_a_stream_that_comes_back_late_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bus: Bus) -> None:
        extent = bus.reader.extent

        async def not_yet() -> object:
            raise TransportError("JetStream is not ready")

        bus.broker.disconnect(bus.viewer)
        bus.store("missed")
        bus.reader.extent = not_yet  # type: ignore[assignment, method-assign]
        bus.broker.reconnect(bus.viewer)
        await bus.settle()
        await bus.decide("meanwhile")
        await bus.settle()
        bus.reader.extent = extent  # type: ignore[method-assign]
        await bus.settle()
        await bus.decide("b")

    assert following(scenario).told == ["past", "missed", "meanwhile", "b"]
    assert "JetStream is not ready; trying again" in caplog.text


def test_more_than_can_wait_is_read_from_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "MAX_WAITING", 3)
    names = [f"d{number}" for number in range(20)]

    async def scenario(bus: Bus) -> None:
        await bus.decide(*names)

    assert following(scenario).told == ["past", *names]


def test_without_a_stream_there_is_nothing_to_begin_with() -> None:
    async def run() -> None:
        bus = Bus()

        async def missing() -> object:
            raise TransportError("there is no stream")

        bus.reader.extent = missing  # type: ignore[assignment, method-assign]
        with pytest.raises(TransportError, match="there is no stream"):
            await bus.follower.run(1)

    run_virtual(run())
