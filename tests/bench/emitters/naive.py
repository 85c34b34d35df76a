"""FastStream's request to the naive dispatcher (tests/bench/naive.py)."""

from __future__ import annotations

import itertools

from tests.bench.load import Emit
from tests.bench.naive import EMIT, Data, Decision, Event, open_broker
from tests.bench.scenarios import DATA, Answer


async def emitter(url: str, plugins: list[str]) -> Emit:
    broker = await open_broker(url)
    ids = itertools.count()

    async def emit() -> Answer:
        event = Event(
            id=str(next(ids)), source="/bench", type="message_received", data=Data(**DATA)
        )
        reply = await broker.request(event, EMIT, timeout=5)
        decision = Decision.model_validate(await reply.decode())
        changed = decision.data
        return Answer(decision.outcome, decision.by, None if changed is None else changed.marks)

    return emit
