"""One fault under load: a replica is stopped or killed, another one takes its place."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hookbus.transport import NatsTransport
from tests.chaos.cluster import Cluster, stats_of, until
from tests.chaos.load import TIMEOUT, Asked, Load, running

SIGNALS: Final = {"stop": signal.SIGTERM, "kill": signal.SIGKILL}
WARM: Final = 200  # decisions before a fault, and after the replica is back
MARGIN: Final = 0.1  # seconds beyond its timeout that the SDK may take to end an emit
NOTICED: Final = 0.1  # seconds until the broker has closed the connections of what was killed


@dataclass(frozen=True, slots=True)
class Figures:
    """What one fault did. *in_flight* and *held* are at the fault; times are in seconds.

    Attributes:
        held: events that were being decided by the replica, as the plugins were asked by it.
        lost: emits and questions that ended without an answer.
        slowest: the longest that any of them took to end, and *lag* how late the test's loop was.
        back: from the fault until the replica in its place has taken load.
        problems: what breaks the bar; empty is good.
    """

    name: str
    how: str
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

    before: float
    gone: float
    back: float
    code: int
    in_flight: frozenset[str]
    others: frozenset[str]  # instances


def strike(cluster: Cluster, name: str, how: str) -> Figures:
    """Stop or kill the role *name* under load, and start another in its place."""
    return asyncio.run(_strike(cluster, name, how))


async def _strike(cluster: Cluster, name: str, how: str) -> Figures:
    transport = await NatsTransport.connect(cluster.url)
    try:
        async with running(cluster.url) as load:
            await _decided(load, WARM)
            struck = await _replace(cluster, transport, load, name, how)
            await _decided(load, len(load.decisions) + WARM)
    finally:
        await transport.close()
    return _judge(name, how, load, struck)


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
    return _Struck(before, gone, time.monotonic(), code, in_flight, others)


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
    async def enough() -> bool:
        return len(load.decisions) >= count

    await until(enough)


def _judge(name: str, how: str, load: Load, struck: _Struck) -> Figures:
    held = {n for n in struck.in_flight if load.asked_by[n] - struck.others}
    return Figures(
        name=name,
        how=how,
        decided=len(load.decisions),
        in_flight=len(struck.in_flight),
        held=len(held) if name.startswith("dispatcher") else 0,
        wrong=len(load.wrong),
        lost=len(load.lost),
        slowest=max(one.seconds for one in (*load.emits, *load.questions)),
        lag=load.lag,
        back=struck.back - struck.before,
        problems=tuple(_problems(name, how, load, struck)),
    )


def _problems(name: str, how: str, load: Load, struck: _Struck) -> Iterator[str]:
    yield from load.wrong
    expected = 0 if how == "stop" else -SIGNALS[how]
    if struck.code != expected:
        yield f"{name} ended with {struck.code}, expected {expected}"
    for one in (*load.emits, *load.questions):
        if one.seconds > TIMEOUT + MARGIN + load.lag:
            yield f"{one.name} ended after {one.seconds:.3f} s, its timeout is {TIMEOUT} s"
    for one in load.lost:
        if reason := _why_not_held(name, how, one, load, struck):
            yield f"{one.name} was lost ({one.lost}), and {reason}"


def _why_not_held(name: str, how: str, one: Asked, load: Load, struck: _Struck) -> str:
    """Why what was lost was not lost with the replica that was killed; empty if it was."""
    is_question = one.name == "settings"
    if how == "stop":
        return "a stop loses nothing"
    if is_question != name.startswith("registry"):
        return f"{name} has nothing to do with it"
    if one.started > struck.gone + NOTICED + load.lag:
        return f"it was sent {one.started - struck.gone:.3f} s after the end of {name}"
    if others := load.asked_by[one.name] & struck.others:
        return f"{others} had it, not {name}"
    return ""
