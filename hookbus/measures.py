"""What is counted and timed of dispatching; the counters' names stand here only. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hookbus.models import Decision, PluginRecord
from hookbus.wire.event import Inbound

#: Counters of one dispatcher and what each counts, answered in its ``$SRV.STATS`` data.
COUNTERS: Final[Mapping[str, str]] = {
    "decisions": "Decisions made.",
    "continued": "Decisions with the outcome continue.",
    "intercepted": "Decisions with the outcome intercept.",
    "blocked": "Decisions with the outcome block.",
    "refused": "Events that were refused.",
    "failed_open": "Failures of plugins that were let pass.",
    "failed_closed": "Failures of plugins that blocked.",
    "skipped": "Hooks that were not asked.",
    "warned": "Hooks in mode warn that objected.",
    "cached": "Verdicts from the cache.",
    "breaker_open": "Calls not made because of a breaker.",
    "conflicts": "Changes written over by another plugin.",
    "reinvoked": "Hooks that changed something again in a later round.",
    "late_reply": "Verdicts after the timeout, or for an earlier attempt.",
    "duplicate_responder": "Verdicts for a call that was answered already.",
    "spoofed_reply": "Verdicts in another plugin's name.",
    "unmatched_reply": "Verdicts for a call that is not known.",
    "status_reply": "Replies with a status that is not the broker's.",
    "extension_ignored": "Extensions without permission, or a second time.",
    "rejected_mutations": "Changes outside of what is writable.",
    "shadow_blocks": "Blocks by shadow hooks.",
    "shadow_shed": "Calls of shadow hooks not made because too many were running.",
    "warn_shed": "Calls in mode warn not made because too many were running.",
    "repeated_events": "Events that came again.",
    "id_reuse": "Event ids that came again with other content.",
    "no_reply_subject": "Events without a reply subject in an inbox, dropped.",
    "overloaded": "Events blocked because too many were being decided.",
    "not_ready": "Events blocked because there was no configuration yet.",
    "undelivered": "Answers that could not be sent to the emitter.",
    "unrecorded": "Decisions, shadow records or observed events given up: no stream has them.",
    "recorded_again": "Of these, attempts after the first to have one stored.",
    "audit_blocks": "Decisions blocked because the record was not stored in time.",
}


class Counters:
    """Numbers that only grow, by name; a name that is not in the table is a mistake."""

    __slots__ = ("_values",)

    def __init__(self, names: Iterable[str] = COUNTERS) -> None:
        self._values = dict.fromkeys(names, 0)

    def count(self, name: str, by: int = 1) -> None:
        self._values[name] += by

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def as_dict(self) -> dict[str, int]:
        """A copy of all of them."""
        return dict(self._values)


#: Upper bounds in milliseconds, each included; what takes longer is counted behind the last.
BUCKETS_MS: Final = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0),
    *(1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0),
)
MAX_PLUGINS: Final = 1_000  # histograms of plugins; names of more than that are a defect somewhere


class Histogram:
    """Counts of durations by bucket."""

    __slots__ = ("_counts", "_sum_ms")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0.0

    def observe(self, ms: float) -> None:
        """Count one duration, in milliseconds."""
        self._counts[bisect_left(BUCKETS_MS, ms)] += 1
        self._sum_ms += ms

    def as_dict(self) -> dict[str, Any]:
        """``{"count": 2, "sum_ms": 3.1, "counts": [0, …]}``; one more count than bounds."""
        counts = list(self._counts)
        return {"count": sum(counts), "sum_ms": round(self._sum_ms, 3), "counts": counts}


class Latencies:
    """How long decisions took, and each plugin's answers."""

    __slots__ = ("_decisions", "_plugins")

    def __init__(self) -> None:
        self._decisions = Histogram()
        self._plugins: dict[str, Histogram] = {}

    def decided(self, ms: float) -> None:
        """Count one decision, from the event's arrival."""
        self._decisions.observe(ms)

    def answered(self, plugin: str, ms: float) -> None:
        """Count one hook that was called, from the call to its answer or the end of its time."""
        histogram = self._plugins.get(plugin)
        if histogram is None:
            if len(self._plugins) >= MAX_PLUGINS:
                return
            histogram = self._plugins[plugin] = Histogram()
        histogram.observe(ms)

    def as_dict(self) -> dict[str, Any]:
        """All of them by name, with the buckets' bounds."""
        return {
            "bounds_ms": list(BUCKETS_MS),
            "decisions": self._decisions.as_dict(),
            "plugins": {name: found.as_dict() for name, found in self._plugins.items()},
        }


class Failures:
    """How often each plugin failed, by failure class."""

    __slots__ = ("_plugins",)

    def __init__(self) -> None:
        self._plugins: dict[str, dict[str, int]] = {}

    def count(self, plugin: str, failure: str) -> None:
        """Count one hook that came to no usable answer."""
        if plugin not in self._plugins and len(self._plugins) >= MAX_PLUGINS:
            return
        counts = self._plugins.setdefault(plugin, {})
        counts[failure] = counts.get(failure, 0) + 1

    def as_dict(self) -> dict[str, dict[str, int]]:
        """A copy: ``{"guard-tools": {"timeout": 3}}``"""
        return {plugin: dict(counts) for plugin, counts in self._plugins.items()}


class CountingObserver:
    """Counts outcomes, failures and how long it all took."""

    def __init__(self, counters: Counters, latencies: Latencies, failures: Failures) -> None:
        self._counters = counters
        self._latencies = latencies
        self._failures = failures

    def on_start(self, inbound: Inbound) -> None:
        pass

    def on_decision(self, inbound: Inbound, decision: Decision, seconds: float) -> None:
        self._counters.count("decisions")
        self._counters.count(_OUTCOME_COUNTERS[decision.outcome])
        self._latencies.decided(seconds * 1000)
        for record in decision.records:
            if record.attempt:
                self._latencies.answered(record.plugin, record.ms)
            if record.resolution != "enforced":
                self._counters.count(record.resolution)
            if record.failure is not None or record.notes:
                self._on_odd(record)
        if decision.conflicts:
            self._counters.count("conflicts", len(decision.conflicts))

    def _on_odd(self, record: PluginRecord) -> None:
        if record.failure is not None:
            self._failures.count(record.plugin, record.failure)
        if record.failure == "breaker_open":
            self._counters.count("breaker_open")
        if record.failure == "forbidden_write":
            self._counters.count("rejected_mutations")
        for note in record.notes:
            counter = _NOTE_COUNTERS.get(note["kind"])
            if counter is not None:
                self._counters.count(counter)


_NOTE_COUNTERS: Final = {
    "disallowed_op": "rejected_mutations",
    "reinvoked_changed": "reinvoked",
    "shed": "warn_shed",
}
_OUTCOME_COUNTERS: Final = {"continue": "continued", "intercept": "intercepted", "block": "blocked"}
