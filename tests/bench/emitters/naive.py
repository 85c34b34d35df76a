"""FastStream's request to the naive dispatcher (tests/bench/naive.py)."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faststream.nats import NatsBroker

from tests.bench.load import Emit
from tests.bench.naive import EMIT, Data, Decision, Event
from tests.bench.scenarios import DATA, Answer


@asynccontextmanager
async def emitter(url: str, plugins: list[str]) -> AsyncIterator[Emit]:
    broker = NatsBroker(url, logger=None)
    ids = itertools.count()

    async def emit() -> Answer:
        event = Event(
            id=str(next(ids)), source="/bench", type="message_received", data=Data(**DATA)
        )
        reply = await broker.request(event, EMIT, timeout=5)
        decision = Decision.model_validate(await reply.decode())
        changed = decision.data
        return Answer(decision.outcome, decision.by, None if changed is None else changed.marks)

    async with broker:
        await broker.start()
        yield emit
