"""What every dispatcher says of itself, as far as it has the protocol's shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict

import msgspec

from hookbus import presence, subjects
from hookbus.telemetry import BUCKETS_MS
from hookbus.transport import Transport

WINDOW = 0.15  # seconds to wait for answers


class Histogram(TypedDict):
    """As :class:`hookbus.telemetry.Histogram` writes it."""

    count: int
    sum_ms: float
    counts: list[int]


class Histograms(msgspec.Struct, frozen=True):
    """Durations since the dispatcher's start, as :mod:`hookbus.latency` takes them."""

    bounds_ms: list[float] = msgspec.field(default_factory=lambda: list(BUCKETS_MS))
    decisions: Histogram | None = None
    plugins: dict[str, Histogram] = {}


class DispatcherStats(msgspec.Struct, frozen=True, kw_only=True):
    """One dispatcher's ``endpoints[0].data``, and who it is.

    Attributes:
        failures: by plugin and failure class.
        breakers: those that are not closed: ``{"guard/enforce": "open"}``.
        breakers_open_ms: in how many milliseconds an open one lets a call try.
    """

    instance: str
    version: str = ""
    metadata: dict[str, str] = {}
    generation: int
    in_flight: int = 0
    breakers: dict[str, str] = {}
    breakers_open_ms: dict[str, int] = {}
    counters: dict[str, int] = {}
    failures: dict[str, dict[str, int]] = {}
    latencies: Histograms = Histograms()

    @property
    def name(self) -> str:
        """``"dispatcher 5f0c… (pid 12 on web-1)"``"""
        return named("dispatcher", self.instance, self.metadata)


async def ask_dispatchers(transport: Transport) -> tuple[DispatcherStats, ...]:
    """Ask all that answer, in the order of their instances."""
    answers = await presence.ask(transport, "STATS", subjects.DISPATCHER_SERVICE, window=WINDOW)
    return read_dispatchers(answers)


def read_dispatchers(answers: Iterable[dict[str, Any]]) -> tuple[DispatcherStats, ...]:
    """Take what has the shape; anybody may answer in a dispatcher's name."""
    found = [stats for answer in answers if (stats := _stats(answer)) is not None]
    return tuple(sorted(found, key=lambda stats: stats.instance))


def named(role: str, instance: str, metadata: dict[str, Any]) -> str:
    """Say which one: ``"registry", "7f3a99…", {"host": "a", "pid": "5"} → registry 7f3a99 …``"""
    where = ""
    if "pid" in metadata:
        where = f" (pid {metadata['pid']} on {metadata.get('host', 'an unknown host')})"
    return f"{role} {instance[:8]}{where}"


def _stats(answer: dict[str, Any]) -> DispatcherStats | None:
    match answer.get("endpoints"):
        case [{"data": dict(data)}, *_]:
            who = {
                "instance": answer["id"],
                "version": answer.get("version", ""),
                "metadata": answer.get("metadata") or {},
            }
            try:
                return msgspec.convert({**data, **who}, DispatcherStats)
            except msgspec.ValidationError:
                return None
    return None
