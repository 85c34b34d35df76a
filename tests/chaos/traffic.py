"""64 emits in flight through good and bad times, each told apart by how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from hookbus.emitter import Emitter
from hookbus.errors import HookbusError
from hookbus.models import Decision
from tests.chaos.answers import TYPE, data_of, found, is_refusal, wanted
from tests.chaos.load import IN_FLIGHT, TICK, TIMEOUT, numbers

#: right: as its event must become; refused: a Block that names the failure; error: no decision,
#: and the emitter was told why; wrong: anything else.
Kind = Literal["right", "refused", "error", "wrong"]

BREATH: Final = 0.05  # seconds after an error: some come at once, as long as the broker is away
NOTABLE: Final = 2 * TICK  # seconds; a loop that is later than this is remembered


@dataclass(slots=True)
class Emit:
    """One that ended. Times on the monotonic clock."""

    id: str
    started: float
    ended: float
    kind: Kind
    said: str
    decision: Decision | None


@dataclass(slots=True)
class Traffic:
    """What was emitted so far, and how late the loop of it was: no answer can be seen earlier."""

    emits: list[Emit] = field(default_factory=list)
    in_flight: set[str] = field(default_factory=set)
    lags: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    is_over: bool = False

    def count(self, kind: Kind, since: float = 0.0) -> int:
        """How many that began after *since* ended so."""
        return sum(1 for one in self.emits if one.kind == kind and one.started >= since)

    @property
    def decided(self) -> dict[str, Decision]:
        """What the emitter was told, by event id."""
        return {one.id: one.decision for one in self.emits if one.decision is not None}

    def lag(self, emit: Emit) -> float:
        """How late the loop was at worst while an emit ran."""
        during = (lag for when, lag in self.lags if emit.started <= when <= emit.ended + NOTABLE)
        return max(during, default=0.0)


@asynccontextmanager
async def traffic(url: str) -> AsyncIterator[Traffic]:
    """Keep it up; at the end everything that was emitted has ended."""
    made = Traffic()
    in_order = {"dont_randomize": True}  # of several servers the first is tried first
    async with (
        Emitter.connect(url, source="/traffic", timeout=TIMEOUT, options=in_order) as bus,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(IN_FLIGHT):
            tasks.create_task(_emit_on(bus, made))
        tasks.create_task(_look_for_lags(made))
        try:
            yield made
        finally:
            made.is_over = True


async def _emit_on(bus: Emitter, made: Traffic) -> None:
    while not made.is_over:
        emit = await _emit(bus, made)
        made.emits.append(emit)
        if emit.kind == "error":
            await asyncio.sleep(BREATH)


async def _emit(bus: Emitter, made: Traffic) -> Emit:
    number = next(numbers)
    name = str(number)
    made.in_flight.add(name)
    started = time.monotonic()
    try:
        decision = await bus.emit(TYPE, data_of(number), id=name)
    except HookbusError as e:
        return Emit(name, started, time.monotonic(), "error", f"{type(e).__name__}: {e}", None)
    finally:
        made.in_flight.discard(name)
    ended = time.monotonic()
    if (got := found(decision)) == wanted(number):
        return Emit(name, started, ended, "right", "", decision)
    if is_refusal(decision):
        failed = ", ".join(f"{r.plugin}: {r.failure}" for r in decision.records if r.failure)
        return Emit(name, started, ended, "refused", f"refused ({failed})", decision)
    said = f"expected {wanted(number)}, got {got}"
    return Emit(name, started, ended, "wrong", said, decision)


async def _look_for_lags(made: Traffic) -> None:
    while not made.is_over:
        due = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        if (lag := time.monotonic() - due) > NOTABLE:
            made.lags.append((time.monotonic(), lag))
