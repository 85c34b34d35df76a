"""The faults: what is struck, for how long, and how it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.chaos.cluster import ROLES, Cluster, stats_of
from tests.chaos.links import Links

WITHIN: Final = 2.0  # seconds from the part's return until all is well


async def _at_once(transport: NatsTransport) -> bool:
    return True


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault.

    Attributes:
        strike, mend: begin it, and let the part return; they may block.
        hold: seconds between the two.
        is_back: tells whether the part has returned, after *mend*.
        within: seconds from then on until every emit that begins must end right.
    """

    name: str
    strike: Callable[[], None]
    mend: Callable[[], None] = _nothing
    hold: float = 0.0
    is_back: Callable[[NatsTransport], Awaitable[bool]] = _at_once
    within: float = WITHIN


def killed(cluster: Cluster, name: str, hold: float = 0.0) -> Trouble:
    """SIGKILL of a role or a plugin; another process takes its place."""
    return Trouble(
        f"kill -9 {name}",
        lambda: _kill(cluster, name),
        lambda: _start(cluster, name),
        hold,
        lambda transport: _answers(cluster, transport, name),
    )


def stopped(cluster: Cluster, name: str, hold: float) -> Trouble:
    """SIGSTOP of a role or a plugin, and SIGCONT."""
    return Trouble(
        f"stop {name} {hold:g} s",
        lambda: cluster.process(name).send(signal.SIGSTOP),
        lambda: cluster.process(name).send(signal.SIGCONT),
        hold,
    )


def replaced_hanging(cluster: Cluster, name: str, hold: float) -> Trouble:
    """SIGSTOP of a plugin until its breaker stays open for long, then a new one in its place.

    R21: its announcement makes the breaker half-open at once.
    """

    def replace() -> None:
        _kill(cluster, name)
        _start(cluster, name)

    return Trouble(
        f"new {name} after {hold:g} s",
        lambda: cluster.process(name).send(signal.SIGSTOP),
        replace,
        hold,
        lambda transport: _answers(cluster, transport, name),
    )


def broker_killed(broker: EmbeddedBroker, hold: float = 0.0) -> Trouble:
    """SIGKILL of the broker; it starts again on the same data."""
    return Trouble(
        "kill -9 broker", lambda: os.kill(broker.pid, signal.SIGKILL), broker.restart, hold
    )


def broker_stopped(broker: EmbeddedBroker, hold: float) -> Trouble:
    """SIGSTOP of the broker, and SIGCONT."""
    return Trouble(
        f"stop broker {hold:g} s",
        lambda: os.kill(broker.pid, signal.SIGSTOP),
        lambda: os.kill(broker.pid, signal.SIGCONT),
        hold,
    )


def disk_full(broker: EmbeddedBroker, disk: Path, hold: float) -> Trouble:
    """Not a byte left under JetStream; room is made, and the broker started anew.

    nats-server 2.15 does not write to a stream again whose write failed once, until it is
    restarted; what it is sent meanwhile it does not answer.
    """
    ballast = disk / "ballast"

    def make_room() -> None:
        ballast.unlink()
        broker.restart()

    return Trouble(f"full disk {hold:g} s", lambda: _fill(ballast), make_room, hold)


def slow(links: Links, name: str, seconds: float, hold: float) -> Trouble:
    """A link on which every byte takes longer."""
    return Trouble(
        f"slow {name} {seconds * 1000:.0f} ms",
        lambda: links.delay(name, seconds),
        lambda: links.mend(name),
        hold,
    )


def cut(links: Links, name: str, hold: float) -> Trouble:
    """A link that is reset, and refused for a while."""
    return Trouble(
        f"cut {name} {hold:g} s", lambda: links.cut(name), lambda: links.mend(name), hold
    )


def half_open(links: Links, name: str, hold: float) -> Trouble:
    """A link that swallows all; its connections never come back to life, new ones may be made."""
    return Trouble(
        f"half-open {name} {hold:g} s",
        lambda: links.silence(name),
        lambda: links.mend(name),
        hold,
    )


def _kill(cluster: Cluster, name: str) -> None:
    cluster.process(name).stop(signal.SIGKILL)


def _start(cluster: Cluster, name: str) -> None:
    cluster.start(name)


def _fill(ballast: Path) -> None:
    block = bytes(65_536)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError:  # no space left
            return


async def _answers(cluster: Cluster, transport: NatsTransport, name: str) -> bool:
    """Tell whether the new process of a role or a plugin is on the bus."""
    pid = cluster.process(name).pid
    if name not in ROLES:
        answers = await presence.ask(transport, "PING", name, window=0.02)
        return any(int(a["metadata"]["pid"]) == pid for a in answers)
    kind = name.partition("-")[0]
    stats = await stats_of(transport, kind)
    if kind == "dispatcher":
        return pid in stats and stats[pid]["data"]["generation"] > 0
    return pid in stats
