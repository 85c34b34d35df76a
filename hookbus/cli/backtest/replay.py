"""Recorded inputs, read from the stream and emitted again as dry runs, so many a second."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hookbus import subjects
from hookbus.cli.backtest.compare import compare
from hookbus.cli.backtest.heard import Answers, Hearing
from hookbus.cli.backtest.tally import Difference, Tally
from hookbus.cli.backtest.trial import Pair, Trial
from hookbus.decision_log.reader import Stored, StreamReader
from hookbus.emitter import Emitter
from hookbus.errors import HookbusError, InvalidEvent, InvalidOption, Unavailable
from hookbus.models import Decision, EventRef
from hookbus.transport import Transport
from hookbus.wire.input import RecordedInput, decode_input
from hookbus.wire.limits import NOT_JSON

AT_ONCE: Final = 16  # dry runs
PIECE: Final = 256  # inputs that are read at once
TIMEOUT: Final = 10.0  # seconds for each event; the type's own maximum cuts it
RECORD_WAIT: Final = 2.0  # seconds after the last answer until its record must have come

#: What is not the event's own: a dry run has its own time, trace and id.
_NOT_KEPT: Final = frozenset(
    ["specversion", "id", "type", "data", "hbtimeoutms", "hbdryrun", "traceparent", "tracestate"]
)

#: Hears how far it is, of how much; both count what the stream holds, other types included.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which inputs, and how fast. *limit* 0 is all; *rate* is events a second."""

    since: datetime
    type: str | None
    limit: int
    rate: float


@dataclass(slots=True)
class Replay:
    """One backtest."""

    transport: Transport
    reader: StreamReader
    principal: str
    trial: Trial
    wanted: Wanted
    tally: Tally
    progress: Progress
    _token: str = field(default_factory=lambda: f"backtest-{secrets.token_hex(8)}-")

    async def run(self) -> None:
        """Ask about every input that is wanted.

        Raises:
            PublishDenied: The credentials do not allow it.
            TransportError: The inputs cannot be read.
        """
        hearing = Hearing(self._token)
        await hearing.start(self.transport)
        emitter = Emitter(
            self.transport, source="/backtest", principal=self.principal, timeout=TIMEOUT
        )
        slots, pace = asyncio.Semaphore(AT_ONCE), _Pace(self.wanted.rate)
        try:
            async with asyncio.TaskGroup() as group, aclosing(self._inputs()) as inputs:
                async for recorded in inputs:
                    await pace.wait()
                    await slots.acquire()
                    number = self.tally.inputs
                    asking = group.create_task(self._ask(hearing, emitter, number, recorded))
                    asking.add_done_callback(lambda _: slots.release())
        except* HookbusError as group_error:  # said once, whoever of them met it
            error: BaseException = group_error
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def _inputs(self) -> AsyncGenerator[RecordedInput]:
        """Yield what is to be asked about, the oldest first; what comes meanwhile is left."""
        last = (await self.reader.extent()).last
        start: int | datetime = self.wanted.since
        first = 0
        while piece := await self._piece(start, last):
            first = first or piece[0].sequence
            for stored in piece:
                recorded = _decoded(stored)
                if recorded is None or not self.trial.is_about(recorded.event["type"]):
                    continue
                if self.wanted.limit and self.tally.inputs == self.wanted.limit:
                    self.tally.left_out = True
                    return
                self.tally.inputs += 1
                yield recorded
                self.progress(stored.sequence - first + 1, last - first + 1)
            start = piece[-1].sequence + 1

    async def _piece(self, start: int | datetime, last: int) -> list[Stored]:
        piece: list[Stored] = []

        def take(stored: Stored) -> bool:
            piece.append(stored)
            return len(piece) == PIECE

        only = [subjects.recorded_input(self.wanted.type)] if self.wanted.type else []
        if not isinstance(start, int) or start <= last:
            await self.reader.read(start, take, until=last, only=only)
        return piece

    async def _ask(
        self, hearing: Hearing, emitter: Emitter, number: int, recorded: RecordedInput
    ) -> None:
        event, tally = recorded.event, self.tally
        pairs = self.trial.pairs(event["type"])
        if not pairs:
            tally.not_asked[f"{self.trial.incumbent} has no such hook on {event['type']}"] += 1
            return
        tally.masked += bool(recorded.masked)
        # R26: under an id that was used before, the bus would give its old decision
        event_id = f"{self._token}{number}"
        hearing.expect(event_id)
        try:
            attributes = {k: v for k, v in event.items() if k not in _NOT_KEPT}
            await emitter.emit(
                event["type"], event.get("data"), dry_run=True, **attributes, id=event_id
            )
            answers = await hearing.wait(event_id, pairs, self.trial.longest + RECORD_WAIT)
        except (InvalidEvent, InvalidOption, TypeError) as e:
            tally.not_asked[_refused(e, recorded)] += 1
        except Unavailable as e:
            tally.not_asked[f"no decision: {e.code}"] += 1
        else:
            for pair in pairs:
                self._count(pair, recorded, answers)
        finally:
            hearing.forget(event_id)

    def _count(self, pair: Pair, recorded: RecordedInput, answers: Answers) -> None:
        decision = answers.decision
        incumbent, candidate = answers.incumbent(pair), answers.candidate(pair)
        if decision is None or incumbent is None:
            self.tally.not_asked[_not_reached(decision)] += 1
            return
        if candidate is None:
            self.tally.not_asked[f"no record of {pair.candidate.plugin} came in time"] += 1
            return
        kind, why = compare(incumbent, candidate)
        if kind is None:
            self.tally.not_asked[why] += 1
            return
        self.tally.kinds[kind] += 1
        if kind != "same":
            event = recorded.event
            difference = Difference(
                kind=kind,
                event=EventRef(event["id"], event["source"], event["type"]),
                decision=recorded.decision,
                asked_again=decision.id,
                incumbent=incumbent,
                candidate=candidate,
            )
            self.tally.differences.append(difference)


class _Pace:
    """Lets through so many a second, and never more at once to make up for it."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        await asyncio.sleep(max(0.0, self._next - now))
        self._next = max(now, self._next) + self._interval


def _decoded(stored: Stored) -> RecordedInput | None:
    """Decode an input; None is what no dispatcher wrote."""
    try:
        recorded = decode_input(stored.data)
    except NOT_JSON:
        return None
    is_event = all(isinstance(recorded.event.get(name), str) for name in ("id", "source", "type"))
    return recorded if is_event else None


def _refused(error: Exception, recorded: RecordedInput) -> str:
    code = error.code if isinstance(error, InvalidEvent) else "invalid_event"
    masked = ", perhaps because it was masked when it was recorded" if recorded.masked else ""
    return f"the bus refuses it now: {code}{masked}"


def _not_reached(decision: Decision | None) -> str:
    """Say why the incumbent has no record: nobody was asked that far."""
    if decision is None:
        return "no record of its decision came in time"
    if decision.cause == "verdict":
        return f"{decision.by or 'the bus'} blocked it before"
    if decision.cause is not None:
        by = f" by {decision.by}" if decision.by else ""
        return f"blocked before{by}: {decision.code or decision.cause}"
    return "the incumbent was not asked: was the configuration changed meanwhile?"
