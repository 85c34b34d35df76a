"""Feeds inputs to a target, a few hundred in one world, and says what was found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from hookbus.testing import run_virtual
from tests.flow.bus import Bus
from tests.flow.engines import MemoryEngine
from tests.fuzz.inputs import Input
from tests.fuzz.target import Target
from tests.fuzz.watching import VIRTUAL_LIMIT, Broken, Finding, Watch

BATCH = 100  # inputs in one world


@dataclass(frozen=True, slots=True)
class Found:
    """An input that broke a rule, and which."""

    input: Input
    problem: str


def inputs(target: type[Target], seed: int, start: int = 0) -> Iterator[Input]:
    """Random inputs without end; each depends on nothing but the seed and its own number."""
    for number in count(start):
        random = Random(f"{seed}/{target.name}/{number}")
        yield Input(target.name, target.make(random), f"{target.name}-seed{seed}-{number}")


def run(target: type[Target], chosen: Sequence[Input]) -> list[Found]:
    """Feed all of *chosen*; after a finding the rest gets a fresh world."""
    found: list[Found] = []
    left = list(chosen)
    while left:
        fed, problem = run_virtual(_in_one_world(target, left[:BATCH]))
        if problem is not None:
            found.append(Found(left[fed], problem))
            fed += 1
        left = left[fed:]
    return found


def run_for(target: type[Target], seed: int, seconds: float) -> tuple[int, list[Found]]:
    """Feed random inputs for about so long; return how many, and what was found."""
    ends, fed, found = time.monotonic() + seconds, 0, list[Found]()
    source = inputs(target, seed)
    while time.monotonic() < ends and len(found) < 20:
        batch = list(islice(source, BATCH // 2))
        found += run(target, batch)
        fed += len(batch)
    return fed, found


async def _in_one_world(target: type[Target], chosen: Sequence[Input]) -> tuple[int, str | None]:
    """Return how many went well, and what the next one did."""
    watch = Watch(asyncio.get_running_loop())
    bus = Bus(MemoryEngine())
    fed, problem = 0, None
    try:
        with watch.listening():
            door = target(await bus.__aenter__(), watch)
            await door.start()
            while fed < len(chosen) and problem is None:
                problem = await _fed(door, watch, chosen[fed])
                fed += problem is None
            async with asyncio.timeout(VIRTUAL_LIMIT):  # what a role still does may never end
                await bus.__aexit__(None, None, None)
    except (Exception, Broken) as e:  # what a role's task ended with
        problem = f"{problem or 'at the end'}: {type(e).__name__}: {str(e)[:300]}"
        fed = min(fed, len(chosen) - 1)
    return fed, problem


async def _fed(door: Target, watch: Watch, hostile: Input) -> str | None:
    try:
        with watch.one_input():
            async with asyncio.timeout(VIRTUAL_LIMIT):
                await door.feed(hostile)
    except Finding as problem:
        return str(problem)
    except TimeoutError:
        return f"hangs: not over after {VIRTUAL_LIMIT:g} s"
    return None
