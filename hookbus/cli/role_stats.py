"""What every role says of itself, as far as it has the protocol's shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict, TypeVar

import msgspec

from hookbus import presence, subjects
from hookbus.measures import BUCKETS_MS
from hookbus.transport import Transport

WINDOW = 0.15  # seconds to wait for answers


class Histogram(TypedDict):
    """As :class:`hookbus.measures.Histogram` writes it."""

    count: int
    sum_ms: float
    counts: list[int]


class Histograms(msgspec.Struct, frozen=True):
    """Durations since the dispatcher's start, as :mod:`hookbus.latency` takes them."""

    bounds_ms: list[float] = msgspec.field(default_factory=lambda: list(BUCKETS_MS))
    decisions: Histogram | None = None
    plugins: dict[str, Histogram] = {}


class RoleStats(msgspec.Struct, frozen=True, kw_only=True):
    """One role's ``endpoints[0].data``, and who it is."""

    instance: str
    version: str = ""
    metadata: dict[str, str] = {}
    generation: int

    @property
    def local_to(self) -> str | None:
        """The source of the emitter in whose process it is (`hookbus.local`); else None."""
        return self.metadata.get("local")

    @property
    def name(self) -> str:
        """``"dispatcher 5f0c3a1b (pid 12 on web-1)"``, or ``"… (local to /chat, pid 12 …)"``"""
        kind = type(self).__name__.removesuffix("Stats").lower()
        where = [f"local to {self.local_to}"] if self.local_to is not None else []
        if "pid" in self.metadata:
            host = self.metadata.get("host", "an unknown host")
            where.append(f"pid {self.metadata['pid']} on {host}")
        return f"{kind} {self.instance[:8]}" + (f" ({', '.join(where)})" if where else "")


class RegistryStats(RoleStats, frozen=True, kw_only=True):
    """A registry.

    Attributes:
        owner: the file that owns the settings in force; *file* is the one that it follows itself.
        waiting: there are no settings yet.
    """

    owner: str | None = None
    file: str | None = None
    settings_problem: str | None = None
    waiting: bool = False


class Recording(msgspec.Struct, frozen=True):
    """How a dispatcher fares with one stream; *error* is None when all is stored or on its way."""

    pending: int = 0
    oldest_ms: int = 0
    given_up: int = 0
    error: str | None = None


class DispatcherStats(RoleStats, frozen=True, kw_only=True):
    """A dispatcher.

    Attributes:
        failures: by plugin and failure class.
        breakers: those that are not closed: ``{"guard/enforce": "open"}``.
        breakers_open_ms: in how many milliseconds an open one lets a call try.
        recording: by stream.
    """

    in_flight: int = 0
    breakers: dict[str, str] = {}
    breakers_open_ms: dict[str, int] = {}
    counters: dict[str, int] = {}
    failures: dict[str, dict[str, int]] = {}
    latencies: Histograms = Histograms()
    recording: dict[str, Recording] = {}


S = TypeVar("S", bound=RoleStats)


async def ask_dispatchers(transport: Transport) -> tuple[DispatcherStats, ...]:
    """Ask all that answer, in the order of their instances."""
    answers = await presence.ask(transport, "STATS", subjects.DISPATCHER_SERVICE, window=WINDOW)
    return read_stats(answers, DispatcherStats)


async def ask_registries(transport: Transport) -> tuple[RegistryStats, ...]:
    """Ask all that answer, in the order of their instances."""
    answers = await presence.ask(transport, "STATS", subjects.REGISTRY_SERVICE, window=WINDOW)
    return read_stats(answers, RegistryStats)


def read_stats(answers: Iterable[dict[str, Any]], kind: type[S]) -> tuple[S, ...]:
    """Take what has the shape; anybody may answer in a role's name."""
    found = [stats for answer in answers if (stats := _stats(answer, kind)) is not None]
    return tuple(sorted(found, key=lambda stats: stats.instance))


def _stats(answer: dict[str, Any], kind: type[S]) -> S | None:
    match answer.get("endpoints"):
        case [{"data": dict(data)}, *_]:
            who = {
                "instance": answer["id"],
                "version": answer.get("version", ""),
                "metadata": answer.get("metadata") or {},
            }
            try:
                return msgspec.convert({**data, **who}, kind)
            except msgspec.ValidationError:
                return None
    return None
