"""The SDK's emitter with the dispatcher in its process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hookbus import local
from tests.bench.emitters.sdk import seen
from tests.bench.load import Emit
from tests.bench.scenarios import DATA, Answer

PATIENCE: Final = 10.0  # seconds until its dispatcher knows the plugins


@asynccontextmanager
async def emitter(url: str, plugins: list[str]) -> AsyncIterator[Emit]:
    async with local.connect(url, source="/bench", principal="bench", timeout=5.0) as bus:
        async with asyncio.timeout(PATIENCE):
            while len((await bus.emit("message_received", DATA)).records) < len(plugins):
                await asyncio.sleep(0.05)

        async def emit() -> Answer:
            return seen(await bus.emit("message_received", DATA))

        yield emit
