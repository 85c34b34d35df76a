"""Which metrics the roles serve: their names, units and labels stand here and nowhere else. Pure.

Counters are those of :data:`hookbus.measures.COUNTERS`, each as ``hookbus_<name>_total``. Labels
come from bounded sets: the role, its endpoints, failure classes, and at most ``MAX_PLUGINS``
plugins that are or were bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hookbus.families import Family, Kind, Sample, counter, gauge, histogram
from hookbus.measures import COUNTERS, MAX_PLUGINS
from hookbus.presence import Endpoint
from hookbus.registry.observing import ObserverState

#: name, kind, member of `ObserverState`, help
_OF_OBSERVERS: Final[tuple[tuple[str, Kind, str, str], ...]] = (
    ("hookbus_observer_waiting", "gauge", "waiting", "Events that an observer has not handled."),
    ("hookbus_observer_dead_letters", "gauge", "letters", "Events that it could not handle."),
    (
        "hookbus_observer_discarded_total",
        "counter",
        "discarded",
        "Events that the stream's limits took away before it had them; at most.",
    ),
)

#: name, kind, member of a stream's state, how many of its unit are one of ours, help
_OF_STREAMS: Final[tuple[tuple[str, Kind, str, int, str], ...]] = (
    (
        "hookbus_unacknowledged_messages",
        "gauge",
        "pending",
        1,
        "Messages that their stream has not acknowledged yet.",
    ),
    ("hookbus_unacknowledged_bytes", "gauge", "pending_bytes", 1, "Size of their bodies."),
    (
        "hookbus_unacknowledged_oldest_seconds",
        "gauge",
        "oldest_ms",
        1000,
        "Age of the oldest of them.",
    ),
    (
        "hookbus_given_up_messages_total",
        "counter",
        "given_up",
        1,
        "Messages that no stream has: given up.",
    ),
)


@dataclass(frozen=True, slots=True)
class RegistryStats:
    """What a registry's process knows of itself."""

    generation: int
    bound: int
    endpoints: tuple[Endpoint, ...]
    observers: Mapping[tuple[str, str], ObserverState] = field(default_factory=dict)


def of_process(
    role: str, version: str, *, is_connected: bool, is_ready: bool, tasks: int
) -> Iterator[Family]:
    """The metrics of every role, also before the broker is there."""
    yield gauge("hookbus_build_info", "Always 1.", 1, role=role, version=version)
    yield gauge("hookbus_connected", "Whether the broker is connected.", int(is_connected))
    yield gauge("hookbus_ready", "Whether the role can do its work.", int(is_ready))
    yield gauge("hookbus_tasks", "Tasks on the event loop; what grows at rest leaks.", tasks)


def of_dispatcher(stats: Mapping[str, Any]) -> Iterator[Family]:
    """The metrics of a dispatcher, out of what it answers to ``$SRV.STATS``."""
    yield _generation(stats["generation"])
    yield gauge("hookbus_in_flight_events", "Events being decided now.", stats["in_flight"])
    help_ = "How many may be decided at a time; more are blocked at once."
    yield gauge("hookbus_in_flight_limit_events", help_, stats["max_in_flight"])
    for name, counts in COUNTERS.items():
        yield counter(f"hookbus_{name}_total", counts, stats["counters"][name])
    yield _tally(
        "hookbus_decisions_by_type_total",
        "Decisions, by outcome, a block's cause, and the event's type.",
        stats["outcomes"],
    )
    yield _tally(
        "hookbus_plugin_calls_total",
        "Calls of plugins, by phase and by verdict or failure class.",
        stats["results"],
    )
    yield Family(
        "hookbus_plugin_failures_total",
        "counter",
        "Hooks that came to no usable answer, by failure class.",
        tuple(
            Sample(count, {"plugin": plugin, "failure": failure})
            for plugin, counts in sorted(stats["failures"].items())
            for failure, count in sorted(counts.items())
        ),
    )
    yield from _recording(stats["recording"])
    latencies = stats["latencies"]
    bounds = [bound / 1000 for bound in latencies["bounds_ms"]]
    yield Family(
        "hookbus_decision_duration_seconds",
        "histogram",
        "From an event's arrival to its decision.",
        _samples(bounds, latencies["decisions"]),
    )
    yield Family(
        "hookbus_plugin_duration_seconds",
        "histogram",
        "From a call of a plugin to its answer or the end of its time.",
        tuple(
            sample
            for plugin, found in sorted(latencies["plugins"].items())
            for sample in _samples(bounds, found, plugin=plugin)
        ),
    )
    yield Family(
        "hookbus_breaker_state",
        "gauge",
        "1 for each breaker that is not closed, by its state.",
        tuple(_breakers(stats["breakers"])),
    )


def _tally(name: str, help: str, rows: Iterable[Mapping[str, Any]]) -> Family:
    """Counts of which the other members are labels; null is the empty label."""
    samples = (
        Sample(row["count"], {k: v or "" for k, v in row.items() if k != "count"}) for row in rows
    )
    return Family(name, "counter", help, tuple(samples))


def _recording(streams: Mapping[str, Mapping[str, Any]]) -> Iterator[Family]:
    """What waits to be stored, and what never was."""
    for name, kind, member, unit, what in _OF_STREAMS:
        samples = (
            Sample(state[member] / unit, {"stream": s}) for s, state in sorted(streams.items())
        )
        yield Family(name, kind, what, tuple(samples))


def of_registry(stats: RegistryStats) -> Iterator[Family]:
    """The metrics of a registry."""
    yield _generation(stats.generation)
    yield gauge("hookbus_bound_plugins", "Plugins that are bound.", stats.bound)
    yield _by_endpoint("requests", "Requests answered.", stats.endpoints)
    yield _by_endpoint("errors", "Requests that failed.", stats.endpoints)
    for name, kind, member, what in _OF_OBSERVERS:
        samples = tuple(
            Sample(getattr(state, member), {"plugin": plugin, "hook": hook})
            for (plugin, hook), state in sorted(stats.observers.items())[:MAX_PLUGINS]
        )
        yield Family(name, kind, what, samples)


def _generation(generation: int) -> Family:
    return gauge("hookbus_configuration_generation", "The generation in use; 0: none.", generation)


def _samples(bounds: list[float], found: Mapping[str, Any], **labels: str) -> tuple[Sample, ...]:
    return histogram(bounds, found["counts"], found["sum_ms"] / 1000, **labels)


def _breakers(states: Mapping[str, str]) -> Iterator[Sample]:
    for key in sorted(states)[:MAX_PLUGINS]:
        plugin, _, mode = key.partition("/")
        yield Sample(1, {"plugin": plugin, "mode": mode, "state": states[key]})


def _by_endpoint(what: str, help: str, endpoints: Iterable[Endpoint]) -> Family:
    samples = tuple(Sample(getattr(e, what), {"endpoint": e.name}) for e in endpoints)
    return Family(f"hookbus_registry_{what}_total", "counter", help, samples)
