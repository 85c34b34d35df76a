"""Connections break, the broker dies and comes back: every decision is stored once (R28)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from hookbus import Decision, Emitter, Unavailable, subjects
from tests.flow.bus import HI, Bus
from tests.flow.scripted import Scripted

DECISIONS = subjects.DECISIONS_STREAM
OBSERVE = subjects.OBSERVE_STREAM
IN_FLIGHT = 32
SOME = 50  # decisions that are told between two faults
CUTS = 3
TIMEOUT = 0.5  # seconds, after which a lost answer is given up


class Load:
    """Emitters that go on through everything, and what they were told."""

    def __init__(self, bus: Bus) -> None:
        self.told: list[Decision] = []
        self._bus = bus
        self._emitter = Emitter(bus.transport, source="/load", timeout=TIMEOUT)
        self._is_over = False
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        self._workers = [self._bus.begin(self._work()) for _ in range(IN_FLIGHT)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._workers)

    async def until(self, count: int) -> None:
        await self._bus.until(lambda: len(self.told) >= count)

    async def _work(self) -> None:
        while not self._is_over:
            try:
                self.told.append(await self._emitter.emit("message_received", HI))
            except Unavailable:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("audit", ["best_effort", "required"])
async def test_through_cuts_and_a_kill_of_the_broker_every_decision_is_stored_exactly_once(
    nats_bus: Bus, audit: str
) -> None:
    bus = nats_bus
    await bus.start(Scripted("a"), can_cut=True, audit=audit, observe="always")
    recording = bus.dispatcher.recording

    async with Load(bus) as load:
        for _ in range(CUTS):
            await load.until(len(load.told) + SOME)
            await bus.until(lambda: recording()[DECISIONS]["pending"] > 0)
            bus.cut(bus.dispatcher_transport)
            bus.mend(bus.dispatcher_transport)
        await load.until(len(load.told) + SOME)
        bus.engine.kill()
        bus.engine.revive()
        await load.until(len(load.told) + SOME)
    await bus.until(lambda: not any(state["pending"] for state in recording().values()))

    for stream, id_of in ((DECISIONS, _id), (OBSERVE, _id_of_observed)):
        stored = Counter(id_of(body) for _, body in await bus.stored(stream))
        assert {d.id for d in load.told} - stored.keys() == set()
        assert {name for name, times in stored.items() if times > 1} == set()
        if audit == "best_effort":  # those whose answer was lost, too
            assert len(stored) == bus.counters["decisions"] > len(load.told)
    assert bus.counters["unrecorded"] == 0
    assert {d.cause for d in load.told} <= {None, "failure", "audit"}


def _id(record: dict[str, Any]) -> str:
    return str(record["id"])


def _id_of_observed(observed: dict[str, Any]) -> str:
    return _id(observed["decision"])
