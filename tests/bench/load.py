"""The emitter that is measured, of any kind (tests/bench/emitters). Every decision is checked.

Reads one JSON command a line, ``{"in_flight":1,"events":500}``, and answers each with its
figures. Seconds and microseconds are named in the keys. For the work ``both`` a command says by
``"patches"`` whether the plugins are to patch.

    python -m tests.bench.load KIND URL WORK PLUGIN...
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from hookbus.loop import run
from tests.bench.scenarios import Answer, wanted

Emit = Callable[[], Awaitable[Answer]]
#: Emitters that do as the command of the moment says.
COMMANDED: Final = ("both", "sized")


class WrongDecision(Exception):
    """It voids the whole run."""


async def measure(emit: Emit, right: Answer, in_flight: int, events: int) -> dict[str, Any]:
    took: list[float] = []
    left = itertools.count(events, -1)

    async def worker() -> None:
        while next(left) > 0:
            started = time.perf_counter()
            answer = await emit()
            took.append(time.perf_counter() - started)
            if answer != right:
                raise WrongDecision(f"wrong decision: {answer}, expected {right}")

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


async def main(kind: str, url: str, work: str, plugins: list[str]) -> None:
    command: dict[str, Any] = {}
    name = work if work == "both" else kind
    # only this kind's libraries are loaded: another's are neither its memory nor its start
    module = importlib.import_module(f"tests.bench.emitters.{name}")
    right = wanted(work, plugins)
    async with module.emitter(url, command if name in COMMANDED else plugins) as emit:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            command.clear()
            command.update(json.loads(line))
            if work == "both":
                marks = dict.fromkeys(plugins, 1)
                right = (
                    Answer("intercept", None, marks)
                    if command.get("patches")
                    else Answer("continue")
                )
            try:
                figures = await measure(emit, right, command["in_flight"], command["events"])
            except* WrongDecision as wrong:
                raise SystemExit(str(wrong.exceptions[0])) from None
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
