"""nats-py alone."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats

from tests.bench.load import Emit
from tests.bench.scenarios import DATA, Answer


@asynccontextmanager
async def emitter(url: str, plugins: list[str]) -> AsyncIterator[Emit]:
    client = await nats.connect(url)
    ids = itertools.count()
    data = msgspec.json.encode(DATA)

    async def emit() -> Answer:
        event = (
            b'{"specversion":"1.0","id":"%d","source":"/bench","type":"message_received",'
            b'"hbtimeoutms":5000,"data":%b}' % (next(ids), data)
        )
        reply = await client.request("hookbus.emit.bench.message_received", event, timeout=5)
        decision = msgspec.json.decode(reply.data)
        changed = decision.get("data")
        return Answer(decision["outcome"], decision.get("by"), changed and changed["marks"])

    try:
        yield emit
    finally:
        await client.close()
