"""Cases run: in memory one by one, on real nats-servers several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookbus.broker import EmbeddedBroker
from hookbus.loop import run
from hookbus.testing import run_virtual
from tests.conformance.player import PlayerProcess
from tests.conformance.playing import Performance
from tests.conformance.stage import Cleaner, DenyingBroker, MemoryStage, ServerStage, Stage
from tests.conformance.table import Case
from tests.flow.bus import Bus

AT_ONCE: Final = 3  # cases on real servers; they mostly wait
PATIENCE: Final = 30.0  # seconds for one case
VIRTUAL_PATIENCE: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Result:
    """How one case went on one stage: no problems means passed."""

    problems: tuple[str, ...]
    seconds: float


def run_in_memory(case: Case, *, is_local: bool = False) -> Result:
    """Play *case* with virtual time; *is_local* has the dispatcher in the emitter's process."""
    started = time.monotonic()
    problems = run_virtual(_play(case, MemoryStage(), VIRTUAL_PATIENCE, is_local=is_local))
    return Result(problems, time.monotonic() - started)


def run_on_server(cases: Iterable[Case], directory: Path) -> dict[str, Result]:
    """Play *cases* on real servers that keep their streams under *directory*."""
    played = [case for case in cases if not case.is_elsewhere and case.memory is None]
    with contextlib.ExitStack() as stack:
        brokers = [stack.enter_context(_broker(directory, f"b{n}")) for n in range(AT_ONCE)]
        denying = {
            case.id: stack.enter_context(_denying(case, directory))
            for case in played
            if case.has("deny")
        }
        return run(_play_all(played, brokers, denying))


def _broker(directory: Path, name: str) -> EmbeddedBroker:
    return EmbeddedBroker.start(data_dir=directory / name)


@contextlib.contextmanager
def _denying(case: Case, directory: Path) -> Iterator[EmbeddedBroker]:
    """A broker of its own for a case in which the broker refuses something."""
    with DenyingBroker.start(data_dir=directory / case.id) as broker:
        for step in case.steps:
            if step.word == "deny":
                broker.deny(step.given)
        yield broker


async def _play_all(
    cases: Sequence[Case], brokers: list[EmbeddedBroker], denying: dict[str, EmbeddedBroker]
) -> dict[str, Result]:
    """Play all, each on a server that no other case uses at the time."""
    shared = await PlayerProcess.start()
    free: asyncio.Queue[tuple[EmbeddedBroker, Cleaner]] = asyncio.Queue()
    cleaners = [await Cleaner.of(broker) for broker in brokers]
    for pair in zip(brokers, cleaners, strict=True):
        free.put_nowait(pair)

    async def play(case: Case) -> Result:
        broker, cleaner = await free.get()
        player = await PlayerProcess.start() if case.has("kill") else shared
        stage = ServerStage(denying.get(case.id, broker), player)
        started = time.monotonic()
        problems = await _play(case, stage, PATIENCE)
        seconds = time.monotonic() - started
        await (player.kill() if player is not shared else player.forget(case.id))
        await cleaner.clean()
        free.put_nowait((broker, cleaner))
        return Result(problems, seconds)

    try:
        results = await asyncio.gather(*map(play, cases))
    finally:
        await shared.kill()
        for cleaner in cleaners:
            await cleaner.close()
    return {case.id: result for case, result in zip(cases, results, strict=True)}


async def _play(
    case: Case, stage: Stage, patience: float, *, is_local: bool = False
) -> tuple[str, ...]:
    problems: list[str] = []
    try:
        async with asyncio.timeout(patience), Bus(stage.engine) as bus:
            performance = Performance(case, stage, bus, is_local=is_local)
            problems = performance.problems
            await performance.play()
    except Exception:  # whatever a case dies of is told beside the others
        problems.append(traceback.format_exc())
    return tuple(problems)
