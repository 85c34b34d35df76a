"""What is counted and timed of dispatching; the counters' names stand here only. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
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

    __slots__ = ("values",)

    def __init__(self, names: Iterable[str] = COUNTERS) -> None:
        self.values = dict.fromkeys(names, 0)

    def count(self, name: str, by: int = 1, *, plugin: str = "") -> None:
        """Count something; *plugin* is whose doing it was, for those who tell it."""
        self.values[name] += by

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def as_dict(self) -> dict[str, int]:
        """A copy of all of them."""
        return dict(self.values)


#: Upper bounds in milliseconds, each included; what takes longer is counted behind the last.
BUCKETS_MS: Final = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0),
    *(1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0),
)
MAX_PLUGINS: Final = 1_000  # that are told apart; names of more than that are a defect somewhere
MAX_TYPES: Final = 1_000  # event types that are told apart, those that were taken away included
OTHER_TYPE: Final = "_other"  # stands for all further types; no type can have this name


class Histogram:
    """Counts of durations by bucket; whoever counts often does it without a call."""

    __slots__ = ("counts", "sum_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_MS) + 1)
        self.sum_ms = 0.0

    def observe(self, ms: float) -> None:
        """Count one duration, in milliseconds."""
        self.counts[bisect_left(BUCKETS_MS, ms)] += 1
        self.sum_ms += ms

    def add(self, other: Histogram) -> None:
        """Count all of *other*'s durations, too."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.sum_ms += other.sum_ms

    def as_dict(self) -> dict[str, Any]:
        """``{"count": 2, "sum_ms": 3.1, "counts": [0, …]}``; one more count than bounds."""
        counts = list(self.counts)
        return {"count": sum(counts), "sum_ms": round(self.sum_ms, 3), "counts": counts}


class Latencies:
    """How many decisions and calls of plugins there were, what became of them, how long they took.

    One histogram for each combination, so that counting is one look into a dictionary. There are
    few: outcomes and causes are a handful, event types those of the catalogue, and plugins those
    that are or were bound. No id, source or subject is part of a key.
    """

    __slots__ = ("_known", "_plugins", "_types", "calls", "decisions")

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str | None, str], Histogram] = {}
        self.calls: dict[tuple[str, str, str | None], Histogram] = {}
        self._known: frozenset[str] = frozenset()
        self._types: set[str] = set()
        self._plugins: set[str] = set()

    def know(self, types: Iterable[str]) -> None:
        """Take the catalogue's event types; decisions about others count under ``_other``."""
        self._known = frozenset(types)

    def decided(self, outcome: str, cause: str | None, type: str, ms: float) -> None:
        """Count one decision, from the event's arrival."""
        key = (outcome, cause, type)
        (self.decisions.get(key) or self.first_decision(*key)).observe(ms)

    def answered(self, plugin: str, phase: str, result: str | None, ms: float) -> None:
        """Count one call, to its answer or its end; *result* is a verdict or failure class."""
        key = (plugin, phase, result)
        (self.calls.get(key) or self.first_call(*key)).observe(ms)

    def first_decision(self, outcome: str, cause: str | None, type: str) -> Histogram:
        """Return the histogram of a combination that is new, or of an unknown type."""
        if type in self._known and (type in self._types or len(self._types) < MAX_TYPES):
            self._types.add(type)
            shown = type
        else:
            shown = OTHER_TYPE
        return self.decisions.setdefault((outcome, cause, shown), Histogram())

    def first_call(self, plugin: str, phase: str, result: str | None) -> Histogram:
        """Return the histogram of a combination that is new; one beyond the limit is not kept."""
        if plugin not in self._plugins:
            if len(self._plugins) >= MAX_PLUGINS:
                return Histogram()
            self._plugins.add(plugin)
        return self.calls.setdefault((plugin, phase, result), Histogram())

    def as_dict(self) -> dict[str, Any]:
        """All decisions as one histogram, and one for each plugin, with the buckets' bounds."""
        decisions, plugins = Histogram(), {name: Histogram() for name in sorted(self._plugins)}
        for found in self.decisions.values():
            decisions.add(found)
        for (plugin, _, _), found in self.calls.items():
            plugins[plugin].add(found)
        return {
            "bounds_ms": list(BUCKETS_MS),
            "decisions": decisions.as_dict(),
            "plugins": {name: found.as_dict() for name, found in plugins.items()},
        }

    def outcomes(self) -> list[dict[str, Any]]:
        """``[{"outcome": "block", "cause": "failure", "type": "tool_invoked", "count": 3}]``"""
        return [
            {"outcome": outcome, "cause": cause, "type": name, "count": sum(found.counts)}
            for (outcome, cause, name), found in self.decisions.items()
        ]

    def results(self) -> list[dict[str, Any]]:
        """``[{"plugin": "guard", "phase": "validate", "result": "timeout", "count": 3}]``"""
        return [
            {"plugin": plugin, "phase": phase, "result": result, "count": sum(found.counts)}
            for (plugin, phase, result), found in self.calls.items()
        ]


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

    def on_decision(
        self, inbound: Inbound, decision: Decision, seconds: float, asked_ms: Sequence[float] = ()
    ) -> None:
        values, latencies = self._counters.values, self._latencies
        values["decisions"] += 1
        values[_OUTCOME_COUNTERS[decision.outcome]] += 1
        latencies.decided(decision.outcome, decision.cause, decision.event.type, seconds * 1000)
        calls = latencies.calls
        for record in decision.records:
            failure = record.failure
            if record.attempt:
                # what `answered` does, without the call: this is done for each plugin of each event
                key = (record.plugin, record.phase, failure or record.verdict)
                ms = record.ms
                found = calls.get(key) or latencies.first_call(*key)
                found.counts[bisect_left(BUCKETS_MS, ms)] += 1
                found.sum_ms += ms
            resolution = record.resolution
            if resolution != "enforced":
                values[resolution] += 1
            if failure is not None or record.notes:
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
