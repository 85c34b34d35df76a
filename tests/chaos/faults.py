"""Faults under load: a replica is stopped or killed, and another one takes its place."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hookbus.transport import NatsTransport
from tests.chaos.cluster import Cluster, stats_of, until
from tests.chaos.load import QUESTION, TIMEOUT, Asked, Load, running

SIGNALS: Final = {"stop": signal.SIGTERM, "kill": signal.SIGKILL}
WARM: Final = 100  # decisions before each fault, and after the last replica is back
MARGIN: Final = 0.1  # seconds beyond its timeout that the SDK may take to end an emit
NOTICED: Final = 0.1  # seconds until the broker has closed the connections of what was killed


@dataclass(frozen=True, slots=True)
class Figures:
    """What faults did. *in_flight* and *held* are at the fault; times are in seconds.

    Attributes:
        held: events that were being decided by the replica, as the plugins were asked by it.
        lost: emits and questions that ended without an answer.
        slowest: the longest that any of them took to end, and *lag* how late the test's loop was.
        back: from the fault until the replica in its place has taken load.
        problems: what breaks the bar; empty is good.
    """

    fault: str
    decided: int
    in_flight: int
    held: int
    wrong: int
    lost: int
    slowest: float
    lag: float
    back: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Struck:
    """The moments of one fault, on the monotonic clock, and what was in flight then."""

    name: str
    how: str
    before: float
    gone: float
    back: float
    code: int
    in_flight: frozenset[str]
    others: frozenset[str]  # instances


def strike(cluster: Cluster, how: str, *names: str) -> Figures:
    """Stop or kill the roles *names* under load, one after the other, and replace each at once."""
    return asyncio.run(_strike(cluster, how, names))


async def _strike(cluster: Cluster, how: str, names: tuple[str, ...]) -> Figures:
    transport = await NatsTransport.connect(cluster.url)
    struck = []
    try:
        async with running(cluster.url) as load:
            for name in names:
                await _decided(load, WARM)
                struck.append(await _replace(cluster, transport, load, name, how))
            await _decided(load, WARM)
    finally:
        await transport.close()
    return _judge(load, struck)


async def _replace(
    cluster: Cluster, transport: NatsTransport, load: Load, name: str, how: str
) -> _Struck:
    kind = name.partition("-")[0]
    stats = await stats_of(transport, kind)
    others = frozenset(str(stats[pid]["instance"]) for pid in cluster.others(name))
    in_flight, before = frozenset(load.in_flight), time.monotonic()
    code = await asyncio.to_thread(cluster.end, name, SIGNALS[how])
    gone = time.monotonic()
    await takes_load(transport, kind, cluster.start(name).pid, cluster.others(name))
    return _Struck(name, how, before, gone, time.monotonic(), code, in_flight, others)


async def takes_load(transport: NatsTransport, kind: str, pid: int, others: set[int]) -> None:
    """Wait until the figures of both replicas of a kind grow."""
    before = await stats_of(transport, kind)

    async def both() -> bool:
        now = await stats_of(transport, kind)
        return {pid, *others} <= now.keys() and all(
            _load_of(now[p]) > (_load_of(before[p]) if p in before else 0) for p in (pid, *others)
        )

    await until(both)


def _load_of(stats: dict[str, object]) -> int:
    """What a replica has done so far: events decided, or an operator's questions answered."""
    match stats:
        case {"data": {"counters": {"decisions": int(decisions)}}}:
            return decisions
        case {"num_requests": int(requests)}:
            return requests
    raise AssertionError(f"unexpected figures: {stats}")


async def _decided(load: Load, count: int) -> None:
    """Wait until *count* more events are decided."""
    wanted = len(load.decisions) + count

    async def enough() -> bool:
        return len(load.decisions) >= wanted

    await until(enough)


def _judge(load: Load, struck: list[_Struck]) -> Figures:
    names = [one.name for one in struck]
    return Figures(
        fault=f"{struck[0].how} {names[0] if len(names) == 1 else f'each of {len(names)}'}",
        decided=len(load.decisions),
        in_flight=min(len(one.in_flight) for one in struck),
        held=sum(len(_held(load, one)) for one in struck),
        wrong=len(load.wrong),
        lost=len(load.lost),
        slowest=max(one.seconds for one in (*load.emits, *load.questions)),
        lag=load.lag,
        back=max(one.back - one.before for one in struck),
        problems=tuple(_problems(load, struck)),
    )


def _held(load: Load, struck: _Struck) -> set[str]:
    if struck.name.startswith("registry"):
        return set()
    return {number for number in struck.in_flight if load.asked_by[number] - struck.others}


def _problems(load: Load, struck: list[_Struck]) -> Iterator[str]:
    yield from load.wrong
    for fault in struck:
        expected = 0 if fault.how == "stop" else -SIGNALS[fault.how]
        if fault.code != expected:
            yield f"{fault.name} ended with {fault.code}, expected {expected}"
    for one in (*load.emits, *load.questions):
        if one.seconds > TIMEOUT + MARGIN + load.lag:
            yield f"{one.name} ended after {one.seconds:.3f} s, its timeout is {TIMEOUT} s"
    for one in load.lost:
        if all(reasons := [_why_not_lost_with(fault, one, load) for fault in struck]):
            yield f"{one.name} was lost ({one.lost}), and {'; '.join(reasons)}"


def _why_not_lost_with(fault: _Struck, one: Asked, load: Load) -> str:
    """Why what was lost was not held by the replica that was killed; empty if it was."""
    if fault.how == "stop":
        return f"the stop of {fault.name} loses nothing"
    if (one.name == QUESTION) != fault.name.startswith("registry"):
        return f"{fault.name} has nothing to do with it"
    if one.ended < fault.before or one.started > fault.gone + NOTICED + load.lag:
        return f"it was sent {one.started - fault.gone:.3f} s after the end of {fault.name}"
    if load.asked_by[one.name] & fault.others:
        return f"another dispatcher had it, not {fault.name}"
    return ""
