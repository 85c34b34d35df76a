"""The emitter that is measured: on nats-py alone, or on the SDK. Every decision is checked.

Reads one JSON command a line, ``{"in_flight":1,"events":500}``, and answers each with its
figures. Seconds and microseconds are named in the keys. In the phase ``both`` a command says by
``"patches"`` whether the plugins are to patch, and no two events have the same data.

    python -m tests.bench.load raw|sdk URL PHASE PLUGIN...
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import nats

from hookbus import Emitter
from hookbus.loop import run

DATA = {"text": "hookbus " * 110, "user": "u1"}  # with the envelope about 1 KB

Emit = Callable[[], Awaitable[tuple[str, Any]]]


async def raw_emitter(url: str) -> Emit:
    client = await nats.connect(url)
    ids = itertools.count()
    data = msgspec.json.encode(DATA)

    async def emit() -> tuple[str, Any]:
        event = (
            b'{"specversion":"1.0","id":"%d","source":"/bench","type":"message_received",'
            b'"hbtimeoutms":5000,"data":%b}' % (next(ids), data)
        )
        reply = await client.request("hookbus.emit.bench.message_received", event, timeout=5)
        decision = msgspec.json.decode(reply.data)
        return decision["outcome"], decision.get("data")

    return emit


async def sdk_emitter(url: str) -> Emit:
    bus = await Emitter.connect(url, source="/bench", principal="bench", timeout=5.0).open()

    async def emit() -> tuple[str, Any]:
        decision = await bus.emit("message_received", DATA)
        return decision.outcome, decision.data

    return emit


async def both_emitter(url: str, commands: Mapping[str, Any]) -> Emit:
    """Emit what the plugins of tests/bench/features.py look at."""
    bus = await Emitter.connect(url, source="/bench", principal="bench", timeout=5.0).open()
    numbers = itertools.count()

    async def emit() -> tuple[str, Any]:
        user = "patcher" if commands.get("patches") else "u1"
        data = {**DATA, "user": user, "n": next(numbers), "marks": {}}
        decision = await bus.emit("message_received", data)
        return decision.outcome, decision.data

    return emit


async def measure(
    emit: Emit, wanted: tuple[str, Any], in_flight: int, events: int
) -> dict[str, Any]:
    took: list[float] = []
    left = itertools.count(events, -1)

    async def worker() -> None:
        while next(left) > 0:
            started = time.perf_counter()
            outcome, data = await emit()
            took.append(time.perf_counter() - started)
            if outcome != wanted[0] or (wanted[1] is not None and data["marks"] != wanted[1]):
                raise SystemExit(f"wrong decision: {outcome} {data}, expected {wanted}")

    started = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for _ in range(in_flight):
            workers.create_task(worker())
    seconds = time.perf_counter() - started
    took.sort()
    return {
        "events": len(took),
        "p50_us": took[len(took) // 2] * 1e6,
        "p99_us": took[len(took) * 99 // 100] * 1e6,
        "events_per_second": len(took) / seconds,
    }


async def main(kind: str, url: str, phase: str, plugins: list[str]) -> None:
    command: dict[str, Any] = {}
    if phase == "both":
        emit = await both_emitter(url, command)
    else:
        emit = await {"raw": raw_emitter, "sdk": sdk_emitter}[kind](url)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command.clear()
        command.update(json.loads(line))
        is_changed = phase == "mutate" or command.get("patches", False)
        marks = dict.fromkeys(plugins, 1) if phase == "both" else plugins
        wanted = ("intercept", marks) if is_changed else ("continue", None)
        figures = await measure(emit, wanted, command["in_flight"], command["events"])
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
