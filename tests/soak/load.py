"""Events at a steady rate, whatever becomes of them, and each decision to the judge."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final

from hookbus.emitter import Emitter
from hookbus.errors import HookbusError, InvalidEvent, Unavailable
from hookbus.models import Decision
from hookbus.transport import NatsTransport
from hookbus.wire.decision import encode_record
from tests.model.values import Event
from tests.soak.events import SOURCE, event_of, with_other_content
from tests.soak.faults import Faults
from tests.soak.judge import Emitted, Judge
from tests.soak.starving import Starving

#: Seconds that an emitter waits longer than its event has: what is not there then never comes.
GRACE: Final = 3.0
LATE: Final = 0.1  # seconds beyond its timeout within which an emit ends
MOST_IN_FLIGHT: Final = 256
REPEATED: Final = 400  # the last events, of which one may come again


@dataclass
class Tally:
    """What became of the emits; seconds."""

    emitted: int = 0
    asking: int = 0
    decided: int = 0
    #: Without a decision, by what was done to the bus: excused by a fault, or not.
    lost: int = 0
    lost_starved: int = 0
    lost_oddly: list[str] = field(default_factory=list)
    late: int = 0
    late_starved: int = 0
    held_back: int = 0
    took: deque[float] = field(default_factory=lambda: deque(maxlen=2_000))
    #: By decision id, a digest of the decision without its data: so it must be in the stream, once.
    decisions: dict[str, int] = field(default_factory=dict)


class Load:
    """Emits event after event; nothing of one waits for another."""

    def __init__(
        self,
        transport: NatsTransport,
        seed: int,
        judge: Judge,
        faults: Faults,
        starving: Starving,
    ) -> None:
        self.tally = Tally()
        self._transport, self._seed, self._judge = transport, seed, judge
        self._faults, self._starving = faults, starving
        self._emitters: dict[str, Emitter] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._number = 0
        self._may_judge = asyncio.Event()
        self._may_judge.set()
        self._finished: deque[int] = deque(maxlen=REPEATED)

    @property
    def in_flight(self) -> int:
        return len(self._running)

    async def at_rate(self, rate: float, until: float) -> None:
        """Emit *rate* events a second until then, on the monotonic clock."""
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if now < due:
                await asyncio.sleep(due - now)
                continue
            due = max(due + 1 / rate, now - 1.0)  # what was held back is not made up for
            if self.in_flight >= MOST_IN_FLIGHT:
                self.tally.held_back += 1
                continue
            self._emit_next()

    async def with_in_flight(self, count: int, seconds: float) -> float:
        """Keep so many in flight, and return how many a second were decided."""
        began, before = time.monotonic(), self.tally.decided
        self._may_judge.clear()  # what is measured is the bus
        while time.monotonic() < began + seconds:
            while self.tally.asking < count:
                self._emit_next()
                await asyncio.sleep(0)
            await asyncio.sleep(0.001)
        rate = (self.tally.decided - before) / (time.monotonic() - began)
        self._may_judge.set()
        await self.rest()
        return rate

    async def rest(self) -> None:
        """Wait until everything that is on its way has ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _emit_next(self) -> None:
        number = self._number
        random = Random(f"{self._seed}/repeat/{number}")
        chance = random.random()
        if chance < 0.02 and self._finished:
            again = random.choice(self._finished)
            event = event_of(self._seed, again)
            event = with_other_content(event) if chance < 0.005 else event
            self._start(again, event, is_reuse=chance < 0.005, is_repeat=chance >= 0.005)
        self._number += 1
        self._start(number, event_of(self._seed, number))

    def _start(
        self, number: int, event: Event, *, is_reuse: bool = False, is_repeat: bool = False
    ) -> None:
        task = asyncio.get_running_loop().create_task(
            self._emit(number, event, is_reuse=is_reuse, is_repeat=is_repeat)
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _emit(self, number: int, event: Event, *, is_reuse: bool, is_repeat: bool) -> None:
        self.tally.emitted += 1
        self._judge.began(event.id)
        began, wall, is_lost = time.monotonic(), time.time(), True
        self.tally.asking += 1

        def emitted() -> Emitted:
            return Emitted(number, event, began, time.monotonic(), wall, is_reuse, is_repeat)

        try:
            try:
                decision = await self._ask(event)
            finally:
                self.tally.asking -= 1
            is_lost = False
            await self._take(emitted(), decision)
        except InvalidEvent as e:
            is_lost = False
            self._judge.refused(emitted(), e)
        except Unavailable as e:
            self._count_lost(number, began, e)
        except Exception:
            self._judge.failed(number, traceback.format_exc())
        finally:
            self._judge.ended(event.id, is_lost=is_lost)
            if not is_reuse and not is_repeat:
                self._finished.append(number)

    async def _ask(self, event: Event) -> Decision:
        emitter = self._emitters.get(event.principal)
        if emitter is None:
            emitter = Emitter(self._transport, source=SOURCE, principal=event.principal)
            self._emitters[event.principal] = emitter
        return await emitter.emit(
            event.type,
            event.data,
            timeout=event.timeout_ms / 1000 + GRACE,
            dry_run=event.dry_run,
            id=event.id,
            hbtimeoutms=event.timeout_ms,
            **({"hbchain": ",".join(event.chain)} if event.chain else {}),
        )

    async def _take(self, emitted: Emitted, decision: Decision) -> None:
        tally, took = self.tally, emitted.ended - emitted.began
        tally.decided += 1
        tally.took.append(took)
        if took > emitted.event.timeout_ms / 1000 + LATE:
            starved = self._starving.in_time(emitted.began, emitted.ended)
            tally.late_starved += starved
            tally.late += not starved
        digest = hash(encode_record(decision))
        known = tally.decisions.get(decision.id)
        if known is None:
            tally.decisions[decision.id] = digest
            await self._may_judge.wait()
            await self._judge.judge(emitted, decision)
        else:
            self._judge.repeated(emitted, decision, is_same=known == digest)

    def _count_lost(self, number: int, began: float, error: HookbusError) -> None:
        if self._faults.touched("dispatcher", began, time.monotonic()):
            self.tally.lost += 1
        elif self._starving.in_time(began, time.monotonic()):
            self.tally.lost_starved += 1
        else:
            self.tally.lost_oddly.append(f"event {number}: {error}")
