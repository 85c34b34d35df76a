"""What is counted where, and that the number of series is bounded by construction."""

from __future__ import annotations

import random

import pytest

from hookbus.measures import (
    BUCKETS_MS,
    MAX_PLUGINS,
    MAX_TYPES,
    OTHER_TYPE,
    Counters,
    CountingObserver,
    Failures,
    Histogram,
    Latencies,
)
from hookbus.models import Decision, EventRef, PluginRecord
from hookbus.server.metrics import of_dispatcher
from hookbus.subjects import EVENT_TYPE
from hookbus.wire.event import Event, Inbound


@pytest.mark.parametrize(
    ("ms", "index"), [(0.0, 0), (0.1, 0), (0.11, 1), (5.0, 5), (30_000.0, 16), (30_001.0, 17)]
)
def test_a_duration_counts_in_the_first_bucket_that_holds_it(ms: float, index: int) -> None:
    histogram = Histogram()

    histogram.observe(ms)

    shown = histogram.as_dict()
    assert (shown["count"], shown["sum_ms"]) == (1, ms)
    assert [i for i, count in enumerate(shown["counts"]) if count] == [index]


def test_there_is_one_more_count_than_bounds_and_the_bounds_grow() -> None:
    assert len(Histogram().as_dict()["counts"]) == len(BUCKETS_MS) + 1
    assert list(BUCKETS_MS) == sorted(set(BUCKETS_MS))


def test_plugins_beyond_the_limit_are_not_kept() -> None:
    latencies = Latencies()

    for number in range(MAX_PLUGINS + 5):
        latencies.answered(f"p{number}", "validate", "continue", 1.0)

    assert len(latencies.as_dict()["plugins"]) == MAX_PLUGINS


def test_failures_are_counted_by_plugin_and_class_of_so_many_plugins() -> None:
    failures = Failures()

    for number in range(MAX_PLUGINS + 5):
        failures.count(f"p{number}", "timeout")
    failures.count("p0", "timeout")
    failures.count("p0", "malformed")

    counted = failures.as_dict()
    assert len(counted) == MAX_PLUGINS
    assert counted["p0"] == {"timeout": 2, "malformed": 1}


class Counting:
    """A dispatcher's measures, and what it would serve of them."""

    def __init__(self, *types: str) -> None:
        self.counters, self.latencies, self.failures = Counters(), Latencies(), Failures()
        self.latencies.know(types)
        self.observer = CountingObserver(self.counters, self.latencies, self.failures)

    def decide(
        self,
        *records: PluginRecord,
        type: str = "message_received",
        source: str = "/a",
        outcome: str = "continue",
        cause: str | None = None,
        ms: float = 1.0,
    ) -> None:
        event = Event(specversion="1.0", id=source, source=source, type=type, subject=source)
        decision = Decision(
            id=source,
            event=EventRef(source, source, type),
            outcome=outcome,  # type: ignore[arg-type]
            cause=cause,
            principal=source,
            trace_id=source,
            records=records,
        )
        self.observer.on_decision(Inbound(event, b"{}", source), decision, ms / 1000)

    def series(self) -> set[tuple[str, ...]]:
        stats = {
            "generation": 1,
            "in_flight": 0,
            "max_in_flight": 1,
            "breakers": {},
            "counters": self.counters.as_dict(),
            "outcomes": self.latencies.outcomes(),
            "results": self.latencies.results(),
            "failures": self.failures.as_dict(),
            "latencies": self.latencies.as_dict(),
            "recording": {},
        }
        return {
            (family.name + sample.suffix, *map(str, sample.labels.items()))
            for family in of_dispatcher(stats)
            for sample in family.samples
        }


def record(plugin: str = "guard", **members: object) -> PluginRecord:
    usual = {"hook": "h", "version": "1.0.0", "phase": "validate", "verdict": "continue", "ms": 1.5}
    return PluginRecord(plugin=plugin, **{**usual, **members})  # type: ignore[arg-type]


def test_decisions_are_counted_by_outcome_cause_and_type() -> None:
    counting = Counting("message_received", "tool_invoked")

    for _ in range(2):
        counting.decide()
    counting.decide(type="tool_invoked", outcome="block", cause="failure")

    assert counting.latencies.outcomes() == [
        {"outcome": "continue", "cause": None, "type": "message_received", "count": 2},
        {"outcome": "block", "cause": "failure", "type": "tool_invoked", "count": 1},
    ]
    assert (counting.counters["decisions"], counting.counters["blocked"]) == (3, 1)
    assert counting.latencies.as_dict()["decisions"]["count"] == 3


def test_calls_are_counted_by_plugin_phase_and_verdict_or_failure_class() -> None:
    counting = Counting("message_received")

    counting.decide(record(), record("redact", phase="mutate", verdict="intercept", ms=3.0))
    counting.decide(record(verdict=None, failure="timeout", resolution="failed_closed", ms=200.0))

    assert counting.latencies.results() == [
        {"plugin": "guard", "phase": "validate", "result": "continue", "count": 1},
        {"plugin": "redact", "phase": "mutate", "result": "intercept", "count": 1},
        {"plugin": "guard", "phase": "validate", "result": "timeout", "count": 1},
    ]
    guard = counting.latencies.as_dict()["plugins"]["guard"]
    assert (guard["count"], guard["sum_ms"]) == (2, 201.5)
    assert counting.failures.as_dict() == {"guard": {"timeout": 1}}


def test_a_hook_that_was_not_called_is_no_call() -> None:
    counting = Counting("message_received")

    counting.decide(
        record(attempt=0, verdict=None, resolution="skipped"),
        record(attempt=0, resolution="cached"),
        record(attempt=0, verdict=None, failure="breaker_open", resolution="failed_closed"),
    )

    assert counting.latencies.results() == []
    assert counting.failures.as_dict() == {"guard": {"breaker_open": 1}}
    shown = {name: counting.counters[name] for name in ("skipped", "cached", "breaker_open")}
    assert shown == {"skipped": 1, "cached": 1, "breaker_open": 1}


def test_ten_thousand_sources_ids_subjects_and_unknown_types_make_no_further_series() -> None:
    counting = Counting("message_received")
    counting.decide(record())
    counting.decide(outcome="block", cause="limit", type="unknown.type")
    before = counting.series()
    dice = random.Random(8)

    for _ in range(10_000):
        odd = f"/{dice.getrandbits(64):x}"
        counting.decide(
            record(reason=odd, code=odd, version=odd, annotations={odd: odd}), source=odd
        )
        counting.decide(outcome="block", cause="limit", type=f"t{odd[1:]}", source=odd)

    assert counting.series() == before
    others = [row for row in counting.latencies.outcomes() if row["type"] == OTHER_TYPE]
    assert [row["count"] for row in others] == [10_001]


def test_types_that_come_and_go_are_told_apart_up_to_a_limit() -> None:
    counting = Counting()

    for number in range(MAX_TYPES + 5):
        counting.latencies.know([f"t{number}"])
        counting.decide(type=f"t{number}")

    rows = counting.latencies.outcomes()
    assert len(rows) == MAX_TYPES + 1
    assert [row["count"] for row in rows if row["type"] == OTHER_TYPE] == [5]
    assert not EVENT_TYPE.fullmatch(OTHER_TYPE)
