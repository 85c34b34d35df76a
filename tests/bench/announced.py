"""Thousands of hooks that are bound and never asked: announced by protocol, by one process."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, NamedTuple

import msgspec

from hookbus import subjects
from hookbus.operations import request
from hookbus.transport import NatsTransport

HOOKS: Final = 100  # of one plugin; 256 are the most
PATIENCE: Final = 60.0  # seconds for one answer


class Bound(NamedTuple):
    """How long it took, in seconds: all announcements, the last one's answer, and from then on
    until the dispatcher served it.
    """

    all: float
    last: float
    served: float


def announcement(plugin: str, first: int, hooks: int) -> dict[str, Any]:
    """Hooks on a type that nobody emits here, each with a condition of its own."""
    return {
        "v": 1,
        "plugin": plugin,
        "version": "1.0.0",
        "instance": "bench",
        "hooks": [
            {
                "name": f"hook-{number}",
                "type": "tool_invoked",
                "phase": "validate",
                "priority": number % 200,
                "when": [f"data.name == 'tool-{number}'"],
            }
            for number in range(first, first + hooks)
        ],
    }


async def announce(url: str, count: int) -> Bound:
    """Have *count* hooks bound by the registry, and wait until the dispatcher serves them."""
    transport = await NatsTransport.connect(url)
    answer: dict[str, Any] = {}
    started = last = time.perf_counter()
    try:
        for first in range(0, count, HOOKS):
            plugin = f"other-{first // HOOKS}"
            body = msgspec.json.encode(announcement(plugin, first, min(HOOKS, count - first)))
            last = time.perf_counter()
            subject = subjects.announce(plugin)
            reply = await transport.request(subject, body, timeout=PATIENCE)
            answer = msgspec.json.decode(reply.data)
            if answer["state"] != "bound":
                raise SystemExit(f"{plugin} is not bound: {answer}")
        answered = time.perf_counter()
        wanted = {"generation": answer["generation"], "timeout_ms": 30_000} if answer else {}
        if wanted:
            await request(transport, "bench", "wait_generation", **wanted)
        return Bound(answered - started, answered - last, time.perf_counter() - answered)
    finally:
        await transport.close()


def announced(url: str, count: int) -> Bound:
    return asyncio.run(announce(url, count))
