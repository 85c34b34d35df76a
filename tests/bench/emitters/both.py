"""The SDK's emitter with events that the plugins of tests/bench/features.py look at."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from hookbus import Emitter
from tests.bench.emitters.sdk import seen
from tests.bench.load import Emit
from tests.bench.scenarios import DATA, Answer


@asynccontextmanager
async def emitter(url: str, command: Mapping[str, Any]) -> AsyncIterator[Emit]:
    """Emit, as the command of the moment says, for plugins that patch or that do not.

    No two events have the same data.
    """
    numbers = itertools.count()
    async with Emitter.connect(url, source="/bench", principal="bench", timeout=5.0) as bus:

        async def emit() -> Answer:
            user = "patcher" if command.get("patches") else "u1"
            data = {**DATA, "user": user, "n": next(numbers), "marks": {}}
            return seen(await bus.emit("message_received", data))

        yield emit
