"""The SDK's emitter with events as large as asked for (tests/bench/scale.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookbus import Emitter
from tests.bench.emitters.sdk import seen
from tests.bench.load import Emit
from tests.bench.scenarios import Answer


async def emitter(url: str, command: Mapping[str, Any]) -> Emit:
    """Emit data of as many bytes as the command of the moment says."""
    bus = await Emitter.connect(url, source="/bench", principal="bench", timeout=5.0).open()

    async def emit() -> Answer:
        return seen(await bus.emit("message_received", {"text": "x" * command["bytes"]}))

    return emit
