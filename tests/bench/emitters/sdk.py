"""The SDK's emitter, of which a relay or a dispatcher is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hookbus import Emitter
from hookbus.models import Decision
from tests.bench.load import Emit
from tests.bench.scenarios import DATA, Answer


def seen(decision: Decision) -> Answer:
    is_changed = decision.outcome == "intercept"
    return Answer(decision.outcome, decision.by, decision.data["marks"] if is_changed else None)


@asynccontextmanager
async def emitter(url: str, plugins: list[str]) -> AsyncIterator[Emit]:
    async with Emitter.connect(url, source="/bench", principal="bench", timeout=5.0) as bus:

        async def emit() -> Answer:
            return seen(await bus.emit("message_received", DATA))

        yield emit
