"""The faults: what is struck, for how long, and how it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.chaos.cluster import ROLES, Cluster, stats_of
from tests.chaos.links import Links

#: Who reaches the broker over a link: one of two dispatchers, a plugin, and the load.
LINKED: Final = ("dispatcher-1", "sieve", "emitter")
WITHIN: Final = 2.0  # seconds from the part's return until all is well


@dataclass(frozen=True, slots=True)
class Site:
    """All that a fault can reach."""

    cluster: Cluster
    broker: EmbeddedBroker
    links: Links

    @property
    def emitter_url(self) -> str:
        return self.links.urls["emitter"]


async def _at_once(site: Site, transport: NatsTransport) -> bool:
    return True


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
    strike: Callable[[Site], None]
    mend: Callable[[Site], None]
    hold: float
    is_back: Callable[[Site, NatsTransport], Awaitable[bool]] = _at_once
    within: float = WITHIN


def killed(name: str, hold: float = 0.0) -> Trouble:
    """SIGKILL of a role or a plugin; another process takes its place."""
    return Trouble(
        f"kill -9 {name}",
        lambda site: _kill(site, name),
        lambda site: _start(site, name),
        hold,
        lambda site, transport: _answers(site, transport, name),
    )


def stopped(name: str, hold: float) -> Trouble:
    """SIGSTOP of a role or a plugin, and SIGCONT."""
    return Trouble(
        f"stop {name} {hold:g} s",
        lambda site: site.cluster.process(name).send(signal.SIGSTOP),
        lambda site: site.cluster.process(name).send(signal.SIGCONT),
        hold,
    )


def replaced_hanging(name: str, hold: float) -> Trouble:
    """SIGSTOP of a plugin until its breaker stays open, then a new one in its place."""

    def replace(site: Site) -> None:
        _kill(site, name)
        _start(site, name)

    return Trouble(
        f"new {name} after {hold:g} s",
        lambda site: site.cluster.process(name).send(signal.SIGSTOP),
        replace,
        hold,
        lambda site, transport: _answers(site, transport, name),
    )


def broker_killed(hold: float = 0.0) -> Trouble:
    """SIGKILL of the broker; it starts again on the same data."""
    return Trouble(
        "kill -9 broker",
        lambda site: os.kill(site.broker.pid, signal.SIGKILL),
        lambda site: site.broker.restart(),
        hold,
    )


def broker_stopped(hold: float) -> Trouble:
    """SIGSTOP of the broker, and SIGCONT."""
    return Trouble(
        f"stop broker {hold:g} s",
        lambda site: os.kill(site.broker.pid, signal.SIGSTOP),
        lambda site: os.kill(site.broker.pid, signal.SIGCONT),
        hold,
    )


def slow(name: str, seconds: float, hold: float) -> Trouble:
    """A link on which every byte takes longer."""
    return Trouble(
        f"slow {name} {seconds * 1000:.0f} ms",
        lambda site: site.links.delay(name, seconds),
        lambda site: site.links.mend(name),
        hold,
    )


def cut(name: str, hold: float) -> Trouble:
    """A link that is reset, and refused for a while."""
    return Trouble(
        f"cut {name} {hold:g} s",
        lambda site: site.links.cut(name),
        lambda site: site.links.mend(name),
        hold,
    )


def half_open(name: str, hold: float) -> Trouble:
    """A link that swallows all; its connections never come back to life, new ones may be made."""
    return Trouble(
        f"half-open {name} {hold:g} s",
        lambda site: site.links.silence(name),
        lambda site: site.links.mend(name),
        hold,
    )


def _kill(site: Site, name: str) -> None:
    site.cluster.process(name).stop(signal.SIGKILL)


def _start(site: Site, name: str) -> None:
    site.cluster.start(name)


async def _answers(site: Site, transport: NatsTransport, name: str) -> bool:
    """Tell whether the new process of a role or a plugin is on the bus."""
    pid = site.cluster.process(name).pid
    if name not in ROLES:
        answers = await presence.ask(transport, "PING", name, window=0.02)
        return any(int(a["metadata"]["pid"]) == pid for a in answers)
    kind = name.partition("-")[0]
    stats = await stats_of(transport, kind)
    if kind == "dispatcher":
        return pid in stats and stats[pid]["data"]["generation"] > 0
    return pid in stats
