"""One fault in the middle of 64 emits: what it costs, and what must hold all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.decision_log.reader import NatsStreamReader, Stored
from hookbus.errors import TransportError
from hookbus.models import Decision
from hookbus.transport import NatsTransport
from hookbus.wire.decision import decode_decision
from tests.chaos.answers import OBSERVER
from tests.chaos.cluster import Cluster, until
from tests.chaos.faults import MARGIN
from tests.chaos.load import IN_FLIGHT, TIMEOUT
from tests.chaos.traffic import Emit, Traffic, traffic
from tests.chaos.troubles import Trouble

WARM: Final = 100  # right decisions before a fault
CALM: Final = 1.0  # seconds in which all must end right, after the last that did not
RECORDED_WITHIN: Final = 30.0  # seconds; a cluster without a leader of the stream needs eight
OBSERVED_WITHIN: Final = 45.0  # seconds; what a lost connection had on the way comes after 30
SHOWN: Final = 3  # examples of one problem


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did.

    Attributes:
        refused: decisions that name the failure; *errors*: emits that ended without a decision.
        lost: records of what the emitter was told, and observed events, that are nowhere.
        doubled: decisions that are recorded more than once.
        over: seconds that the slowest emit took longer than its timeout; negative is good.
        recovered: seconds from the part's return until every emit that begins ends right.
        problems: what breaks a bar; empty is good.
    """

    fault: str
    in_flight: int
    right: int
    refused: int
    errors: int
    wrong: int
    lost: int
    doubled: int
    over: float
    recovered: float
    problems: tuple[str, ...]


def trial(
    cluster: Cluster, trouble: Trouble, emitter_url: str = "", *, calm: float = CALM
) -> Result:
    """Let *trouble* strike under traffic, and judge all that was emitted meanwhile.

    *emitter_url* is how the emitter reaches the broker, if not as all others do. The traffic ends
    when for *calm* seconds no emit began that did not end right.
    """
    return asyncio.run(_trial(cluster, trouble, emitter_url or cluster.url, calm))


async def _trial(cluster: Cluster, trouble: Trouble, emitter_url: str, calm: float) -> Result:
    transport = await NatsTransport.connect(cluster.url, principal="ops")
    try:
        first = (await NatsStreamReader(transport, subjects.DECISIONS_STREAM).extent()).last + 1
        async with traffic(emitter_url) as load:
            await until(lambda: _true(load.count("right") >= WARM))
            in_flight, struck = len(load.in_flight), time.monotonic()
            await asyncio.to_thread(trouble.strike)
            await asyncio.sleep(trouble.hold)
            await asyncio.to_thread(trouble.mend)
            await until(lambda: trouble.is_back(transport))
            back = time.monotonic()
            await until(lambda: _true(_is_calm(load, back, calm)))
        lost = await _unrecorded(transport, load, first)
        records = await _records(transport, first)
        unseen = await _unobserved(cluster, load)
    finally:
        await transport.close()
    doubled = [event for event, found in records.items() if len(found) > 1]
    return _judge(trouble, load, (struck, back), in_flight, [*lost, *unseen], doubled)


async def _true(value: bool) -> bool:
    return value


def _is_calm(load: Traffic, back: float, calm: float) -> bool:
    """Tell whether nothing began for a while that failed, and much that did not."""
    since = _last_bad(load, back)
    return time.monotonic() > since + calm and load.count("right", since=since) >= IN_FLIGHT


async def _records(transport: NatsTransport, first: int) -> dict[str, list[Decision]]:
    """What the stream holds from *first* on, by event id."""
    found: dict[str, list[Decision]] = {}

    def take(stored: Stored) -> bool:
        decision = decode_decision(stored.data)
        found.setdefault(decision.event.id, []).append(decision)
        return False

    await NatsStreamReader(transport, subjects.DECISIONS_STREAM).read(first, take)
    return found


async def _unrecorded(transport: NatsTransport, load: Traffic, first: int) -> list[str]:
    """Decisions that are not recorded as the emitter got them, also after patience."""
    missing: list[str] = []

    async def none_is_missing() -> bool:
        missing.clear()
        with suppress(TransportError):  # JetStream comes up later than the port
            found = await _records(transport, first)
            missing.extend(
                f"event {event}: decided, recorded as {found.get(event)}"
                for event, decision in load.decided.items()
                if msgspec.structs.replace(decision, data=msgspec.UNSET) not in found.get(event, ())
            )
            return not missing
        return False

    with suppress(AssertionError):  # it tells what is
        await until(none_is_missing, patience=RECORDED_WITHIN)
    return missing


async def _unobserved(cluster: Cluster, load: Traffic) -> list[str]:
    """Decided events that the observer was not told of, if there is one."""
    if OBSERVER not in cluster.plugins:
        return []
    missing: set[str] = set()

    async def all_seen() -> bool:
        seen = set(cluster.observed.read_text().split()) if cluster.observed.exists() else set()
        missing.clear()
        missing.update(load.decided.keys() - seen)
        return not missing

    with suppress(AssertionError):
        await until(all_seen, patience=OBSERVED_WITHIN)
    return [f"event {event}: decided, never observed" for event in sorted(missing)]


def _judge(
    trouble: Trouble,
    load: Traffic,
    window: tuple[float, float],
    in_flight: int,
    lost: list[str],
    doubled: list[str],
) -> Result:
    struck, back = window
    recovered = _recovered(load, back)
    return Result(
        fault=trouble.name,
        in_flight=in_flight,
        right=load.count("right"),
        refused=load.count("refused"),
        errors=load.count("error"),
        wrong=load.count("wrong"),
        lost=len(lost),
        doubled=len(doubled),
        over=max(map(_over, load.emits)),
        recovered=recovered,
        problems=tuple(
            f"{trouble.name}: {problem}"
            for problem in (
                *_few([f"wrong: {one.said}" for one in load.emits if one.kind == "wrong"]),
                *_few(lost),
                *_few([f"event {event}: recorded more than once" for event in doubled]),
                *_few([late for one in load.emits for late in _late(load, one)]),
                *_few(list(_out_of_time(load, struck, back + trouble.within))),
                *([] if recovered <= trouble.within else [f"recovered after {recovered:.3f} s"]),
            )
        ),
    )


def _few(problems: list[str]) -> list[str]:
    more = len(problems) - SHOWN
    return [*problems[:SHOWN], *([f"… and {more} more like it"] if more > 0 else [])]


def _over(emit: Emit) -> float:
    return emit.ended - emit.started - TIMEOUT


def _late(load: Traffic, emit: Emit) -> Iterator[str]:
    if _over(emit) > MARGIN + load.lag(emit):
        yield f"event {emit.id}: ended {_over(emit) * 1000:.0f} ms after its timeout"


def _out_of_time(load: Traffic, struck: float, end: float) -> Iterator[str]:
    """Emits that did not end right, and had nothing to do with the fault."""
    for one in load.emits:
        if one.kind in ("refused", "error") and (one.ended < struck or one.started > end):
            yield f"event {one.id}, {one.started - struck:+.2f} s from the fault: {one.said}"


def _recovered(load: Traffic, back: float) -> float:
    """Seconds from the return until the first right end, and until nothing begins that fails."""
    right = (one.ended for one in load.emits if one.started >= back and one.kind == "right")
    return max(min(right), _last_bad(load, back)) - back


def _last_bad(load: Traffic, back: float) -> float:
    """When the last emit began that did not end right; *back* if that was before."""
    bad = (one.started for one in load.emits if one.kind != "right")
    return max(max(bad, default=back), back)
