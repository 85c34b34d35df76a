"""What the bus does now: two samples of its own figures, and what is between them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hookbus.cli.role_stats import DispatcherStats, Histogram, RegistryStats, read_stats
from hookbus.latency import merged, percentile, since

OUTCOMES: Final = ("continued", "intercepted", "blocked", "refused")
#: Counters that grow when all is well, too; the others are shown only where they do.
QUIET_COUNTERS: Final = frozenset({"decisions", *OUTCOMES})
#: Counters that mean that something must be done, and what they mean.
ALARMS: Final = {
    "failed_open": "plugins fail and are let pass",
    "failed_closed": "plugins fail, and that blocks",
    "breaker_open": "plugins are not asked: their breaker is open",
    "overloaded": "events are blocked: too many in flight; start another dispatcher",
    "not_ready": "events are blocked: a dispatcher has no configuration",
    "unrecorded": "decisions are not recorded: their stream takes nothing; 'hookbus doctor'",
    "audit_blocks": "events are blocked: their records are not stored; 'hookbus doctor'",
    "spoofed_reply": "somebody answers in another plugin's name",
    "undelivered": "replies do not reach their emitters",
}

Answers = Sequence[dict[str, Any]]


class Plugin(msgspec.Struct, frozen=True):
    """What the registry says of a plugin."""

    plugin: str
    state: str = "bound"
    replicas: list[Any] = []


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the bus.

    Attributes:
        at: seconds on a clock that only goes on.
        plugins: None if no registry said which there are; *problem* says why.
        is_blind: nobody could be asked; *problem* says why.
    """

    at: float
    dispatchers: Mapping[str, DispatcherStats]
    registries: Mapping[str, RegistryStats]
    plugins: Sequence[Plugin] | None
    problem: str | None = None
    is_blind: bool = False


def sample_of(
    at: float,
    dispatchers: Answers,
    registries: Answers,
    listed: Mapping[str, Any] | None,
    problem: str | None,
) -> Sample:
    """Read the answers; anybody may answer in a service's name, and in any shape."""
    return Sample(
        at,
        {stats.instance: stats for stats in read_stats(dispatchers, DispatcherStats)},
        {stats.instance: stats for stats in read_stats(registries, RegistryStats)},
        None if listed is None else _plugins(listed),
        problem,
    )


def _plugins(listed: Mapping[str, Any]) -> Sequence[Plugin] | None:
    try:
        return msgspec.convert(listed.get("plugins"), list[Plugin])
    except msgspec.ValidationError:
        return None


class Times(msgspec.Struct, frozen=True):
    """How often something happened, and how long it took; None if it did not happen."""

    per_second: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None


class DispatcherRow(msgspec.Struct, frozen=True):
    """One dispatcher; *events_per_second* is None until it was seen twice.

    *local_to* is the source of the emitter in whose process it is; else None.
    """

    instance: str
    generation: int
    in_flight: int
    events_per_second: float | None
    breakers: dict[str, str]
    local_to: str | None = None


class PluginRow(msgspec.Struct, frozen=True):
    """One plugin; *replicas* and *state* are None if no registry told them."""

    plugin: str
    state: str | None
    replicas: int | None
    calls: Times


class Figures(msgspec.Struct, frozen=True):
    """What the bus did between two samples; rates are per second."""

    seconds: float
    events: Times
    outcomes: dict[str, float]
    others: dict[str, float]
    in_flight: int
    dispatchers: list[DispatcherRow]
    registries: list[RegistryStats]
    plugins: list[PluginRow]
    problems: list[str]


def figures(before: Sample, now: Sample) -> Figures:
    """Compare two samples; only who answered both times counts for rates."""
    seconds = max(now.at - before.at, 1e-3)
    old = before.dispatchers
    pairs = [(old[name], data) for name, data in now.dispatchers.items() if name in old]
    grown = _growth(pairs)
    rates = {name: count / seconds for name, count in grown.items() if count}
    return Figures(
        seconds=seconds,
        events=_times([_decisions(old, new) for old, new in pairs], _bounds(now), seconds),
        outcomes={name: rates.get(name, 0.0) for name in OUTCOMES},
        others={name: rate for name, rate in rates.items() if name not in QUIET_COUNTERS},
        in_flight=sum(d.in_flight for d in now.dispatchers.values()),
        dispatchers=[
            _dispatcher_row(instance, before.dispatchers.get(instance), data, seconds)
            for instance, data in sorted(now.dispatchers.items())
        ],
        registries=list(now.registries.values()),
        plugins=_plugin_rows(pairs, now, seconds),
        problems=list(_problems(now, rates)),
    )


def _growth(pairs: Iterable[tuple[DispatcherStats, DispatcherStats]]) -> Counter[str]:
    grown: Counter[str] = Counter()
    for old, new in pairs:
        for name, count in new.counters.items():
            grown[name] += max(0, count - old.counters.get(name, 0))
    return grown


def _bounds(now: Sample) -> Sequence[float]:
    """The bounds of the buckets that the first dispatcher uses; all of one version are alike."""
    return next((d.latencies.bounds_ms for d in now.dispatchers.values()), ())


def _decisions(old: DispatcherStats, new: DispatcherStats) -> Histogram | None:
    return _grown(old.latencies.decisions, new.latencies.decisions)


def _calls(plugin: str, old: DispatcherStats, new: DispatcherStats) -> Histogram | None:
    return _grown(old.latencies.plugins.get(plugin), new.latencies.plugins.get(plugin))


def _grown(old: Histogram | None, new: Histogram | None) -> Histogram | None:
    if new is None:
        return None
    grown = since(new, old)
    return Histogram(count=grown["count"], sum_ms=grown["sum_ms"], counts=grown["counts"])


def _times(
    histograms: Iterable[Histogram | None], bounds: Sequence[float], seconds: float
) -> Times:
    # another version's buckets cannot be added up with these
    fitting = [h for h in histograms if h and len(h["counts"]) == len(bounds) + 1]
    total = merged(fitting)
    return Times(
        total["count"] / seconds, percentile(total, bounds, 0.5), percentile(total, bounds, 0.99)
    )


def _dispatcher_row(
    instance: str, old: DispatcherStats | None, new: DispatcherStats, seconds: float
) -> DispatcherRow:
    per_second = None if old is None else _growth([(old, new)])["decisions"] / seconds
    return DispatcherRow(
        instance, new.generation, new.in_flight, per_second, new.breakers, new.local_to
    )


def _plugin_rows(
    pairs: Sequence[tuple[DispatcherStats, DispatcherStats]], now: Sample, seconds: float
) -> list[PluginRow]:
    known = {p.plugin: p for p in now.plugins or ()}
    asked = {name for _, new in pairs for name in new.latencies.plugins}
    bounds, rows = _bounds(now), []
    for name in sorted({*known, *asked}):
        calls = _times([_calls(name, old, new) for old, new in pairs], bounds, seconds)
        found = known.get(name)
        if found is None and not calls.per_second:
            continue  # it was removed: the histograms remember everybody
        rows.append(
            PluginRow(
                name,
                found.state if found else None,
                len(found.replicas) if found else None,
                calls,
            )
        )
    return sorted(rows, key=lambda row: -row.calls.per_second)


def _problems(now: Sample, rates: Mapping[str, float]) -> Iterator[str]:
    """Say what is wrong, worst first."""
    if not now.dispatchers and not now.is_blind:
        yield "no dispatcher answers: nothing is decided; start 'hookbus serve dispatcher'"
    if now.problem is not None:
        yield now.problem
    generations = sorted({d.generation for d in now.dispatchers.values()})
    if len(generations) > 1:
        yield f"dispatchers serve different generations: {', '.join(map(str, generations))}"
    if 0 in generations:
        yield "a dispatcher has no configuration yet; is a registry running, with settings?"
    for registry in now.registries.values():
        if registry.settings_problem:
            yield f"the registry's settings file cannot be used: {registry.settings_problem}"
        if registry.waiting:
            yield "the registry waits for settings: 'hookbus settings apply FILE'"
    for data in now.dispatchers.values():
        for name, state in sorted(data.breakers.items()):
            yield f"breaker {name} is {state}; 'hookbus plugins show {name.partition('/')[0]}'"
    for plugin in now.plugins or ():
        if plugin.state == "bound" and not plugin.replicas:
            yield f"{plugin.plugin} is bound, but nothing answers; start it"
        elif plugin.state != "bound":
            yield f"{plugin.plugin} is {plugin.state}; 'hookbus plugins' says why"
    for name, what in ALARMS.items():
        if name in rates:
            yield f"{name} {rates[name]:.1f}/s: {what}"
