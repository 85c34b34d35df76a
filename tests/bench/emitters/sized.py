"""The SDK's emitter with events as large as asked for (tests/bench/scale.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from hookbus import Emitter
from tests.bench.emitters.sdk import seen
from tests.bench.load import Emit
from tests.bench.scenarios import Answer


@asynccontextmanager
async def emitter(url: str, command: Mapping[str, Any]) -> AsyncIterator[Emit]:
    """Emit data of as many bytes as the command of the moment says."""
    async with Emitter.connect(url, source="/bench", principal="bench", timeout=5.0) as bus:

        async def emit() -> Answer:
            return seen(await bus.emit("message_received", {"text": "x" * command["bytes"]}))

        yield emit
