"""python -m tests.chaos.plugins NAME [FILE]: one of the plugins whose right answer is known.

The observer writes the id of each event it is told of to *FILE*, a line each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from hookbus import Block, Continue, HookEvent, Intercept, Plugin, Verdict
from tests.chaos.answers import OBSERVER, TYPE, is_blocked, is_shifted, shift

#: Seconds for each answer, so that whoever is stopped is always found with events in its hands,
#: and 64 in flight leave the machine time for those who start.
PACE: Final = 0.1

shifting = Plugin("shift", version="1.0.0")
echoing = Plugin("echo", version="1.0.0")
sieving = Plugin("sieve", version="1.0.0")
watching = Plugin(OBSERVER, version="1.0.0")


@shifting.hook(TYPE, phase="mutate", timeout_ms=5_000)
async def on_shift(event: HookEvent[Any]) -> Verdict | None:
    await asyncio.sleep(PACE)
    number = event.data["number"]
    if not is_shifted(number):
        return None
    return Intercept(patch=[{"op": "add", "path": "/shifted", "value": shift(number)}])


@echoing.hook(TYPE, phase="validate", timeout_ms=5_000)
async def on_echo(event: HookEvent[Any]) -> Verdict | None:
    await asyncio.sleep(PACE)
    return Continue(annotations={key: str(value) for key, value in event.data.items()})


@sieving.hook(TYPE, phase="validate", timeout_ms=5_000)
async def on_sieve(event: HookEvent[Any]) -> Verdict | None:
    await asyncio.sleep(PACE)
    number = event.data["number"]
    return Block(f"{number} is a multiple of three", "third") if is_blocked(number) else None


@watching.hook(TYPE, phase="observe")
async def on_observed(event: HookEvent[Any]) -> None:
    with Path(sys.argv[2]).open("a") as file:
        file.write(f"{event.id}\n")


if __name__ == "__main__":
    {p.name: p for p in (shifting, echoing, sieving, watching)}[sys.argv[1]].run()
