"""What `hookbus top` shows: rates between two samples of all dispatchers; and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from hookbus.cli.top.figures import ALARMS, Figures, Sample, figures, sample_of
from hookbus.cli.top.view import render_top
from hookbus.measures import COUNTERS, Counters, CountingObserver, Failures, Latencies
from hookbus.models import EventRef
from tests.unit.decision_samples import decision, record

HEALTHY: dict[str, Any] = {"plugins": [{"plugin": "guard", "state": "bound", "replicas": [{}]}]}
REGISTRY = {"id": "r", "endpoints": [{"data": {"generation": 12}}]}


class FakeDispatcher:
    """Counts as a dispatcher does, and answers what it counted."""

    def __init__(self, name: str, **said: Any) -> None:
        self.name = name
        self.metadata: dict[str, str] = {}
        self.counters, self._latencies = Counters(), Latencies()
        self._observer = CountingObserver(self.counters, self._latencies, Failures())
        self._said = {"generation": 12, "in_flight": 3, "breakers": {}, **said}

    def decide(self, ms: float, times: int = 1, **members: Any) -> None:
        made = decision(event=EventRef("e", "/", "t"), **members)
        for _ in range(times):
            self._observer.on_decision(None, made, ms / 1000)  # type: ignore[arg-type]

    def answer(self) -> dict[str, Any]:
        data = {"counters": self.counters.as_dict(), "latencies": self._latencies.as_dict()}
        endpoint = {"data": {"generation": 12, **self._said, **data}}
        return {"id": self.name, "metadata": self.metadata, "endpoints": [endpoint]}


def between(
    *dispatchers: FakeDispatcher,
    listed: Mapping[str, Any] | None = HEALTHY,
    registries: tuple[Mapping[str, Any], ...] = (REGISTRY,),
    then: Any = lambda: None,
) -> Figures:
    """The figures over two seconds in which *then* happened."""
    before = sample_of(10.0, [d.answer() for d in dispatchers], registries, listed, None)
    then()
    after = [d.answer() for d in dispatchers]
    return figures(before, sample_of(12.0, after, registries, listed, None))


def test_rates_are_of_what_came_between_the_samples_and_of_all_dispatchers() -> None:
    one, two = FakeDispatcher("a"), FakeDispatcher("b")
    one.decide(900.0, times=50)  # long ago

    def then() -> None:
        one.decide(4.0, times=30, records=(record("guard", ms=3.0),))
        two.decide(4.0, times=10, outcome="block", records=(record("guard", ms=15.0),))

    seen = between(one, two, then=then)

    assert seen.events.per_second == 20.0
    assert seen.outcomes == {"continued": 15, "intercepted": 0, "blocked": 5, "refused": 0}
    assert seen.events.p99_ms is not None
    assert 2.0 < seen.events.p99_ms <= 5.0
    [guard] = seen.plugins
    assert (guard.replicas, guard.calls.per_second) == (1, 20.0)
    assert guard.calls.p50_ms is not None
    assert guard.calls.p99_ms is not None
    assert 2.0 < guard.calls.p50_ms <= 5.0
    assert 10.0 < guard.calls.p99_ms <= 20.0
    assert [d.events_per_second for d in seen.dispatchers] == [15.0, 5.0]
    assert seen.in_flight == 6
    assert seen.problems == []


def test_a_dispatcher_that_was_not_there_before_counts_from_the_next_sample_on() -> None:
    old, new = FakeDispatcher("old"), FakeDispatcher("new")
    new.decide(1.0, times=1_000)
    before = sample_of(0.0, [old.answer()], [REGISTRY], HEALTHY, None)

    seen = figures(before, sample_of(1.0, [old.answer(), new.answer()], [REGISTRY], HEALTHY, None))

    assert seen.events.per_second == 0
    assert [d.events_per_second for d in seen.dispatchers] == [None, 0.0]


def test_what_is_wrong_is_said() -> None:
    behind = FakeDispatcher("b", generation=11, breakers={"guard/enforce": "open"})
    listed = {
        "plugins": [
            {"plugin": "guard", "state": "bound", "replicas": []},
            {"plugin": "new", "state": "pending", "replicas": [{}]},
        ]
    }
    registry = {
        "id": "r",
        "endpoints": [{"data": {"generation": 12, "settings_problem": "line 3", "waiting": True}}],
    }

    def then() -> None:
        behind.decide(1.0, records=(record("guard", resolution="failed_open", failure="timeout"),))

    seen = between(FakeDispatcher("a"), behind, listed=listed, registries=(registry,), then=then)

    said = "\n".join(seen.problems)
    for part in (
        "different generations: 11, 12",
        "line 3",
        "waits for settings",
        "breaker guard/enforce is open; 'hookbus plugins show guard'",
        "guard is bound, but nothing answers",
        "new is pending",
        "failed_open 0.5/s",
    ):
        assert part in said


def test_nobody_there_is_said() -> None:
    nobody = sample_of(0.0, [], [], None, "no registry is listening")

    seen = figures(nobody, nobody)

    assert "no dispatcher answers" in seen.problems[0]
    assert "no registry is listening" in seen.problems


def test_what_cannot_be_seen_is_not_said_to_be_gone() -> None:
    blind = Sample(0.0, {}, {}, None, "the connection is down", is_blind=True)

    assert figures(blind, blind).problems == ["the connection is down"]


def test_who_answers_in_another_shape_is_not_counted() -> None:
    odd = [
        {"id": "a"},
        {"id": "b", "endpoints": []},
        {"id": "c", "endpoints": [{"data": {"generation": "x"}}]},
        {"id": "d", "endpoints": [{"data": {"latencies": {"decisions": {"counts": 5}}}}]},
        {"id": "e", "endpoints": [{"data": {"counters": {"decisions": "many"}}}]},
    ]

    assert not sample_of(0.0, odd, odd, {"plugins": 5}, None).dispatchers


def test_buckets_of_another_version_are_left_out() -> None:
    ours, other = FakeDispatcher("a"), FakeDispatcher("b")
    answer = other.answer()
    answer["endpoints"][0]["data"]["latencies"]["decisions"]["counts"] = [5, 5]
    before = sample_of(0.0, [ours.answer(), other.answer()], [], HEALTHY, None)
    ours.decide(4.0)

    seen = figures(before, sample_of(1.0, [ours.answer(), answer], [], HEALTHY, None))

    assert seen.events.per_second == 1.0


def test_a_dispatcher_in_an_emitters_process_is_shown_with_its_source() -> None:
    one = FakeDispatcher("5f0c3a1bdead")
    one.metadata = {"local": "/chat"}
    seen = between(one)
    console = Console(width=80, force_terminal=False)

    with console.capture() as capture:
        console.print(render_top(seen, "2026-11-21T10:00:00Z"))

    assert "5f0c3a in /chat" in capture.get()
    assert seen.dispatchers[0].local_to == "/chat"


def test_every_alarm_is_a_counter() -> None:
    assert set(ALARMS) <= set(COUNTERS)


def test_the_picture_fits_80_columns_and_moves_no_cursor() -> None:
    evil = "\x1b[2J" + "name" * 30
    one = FakeDispatcher(evil, breakers={f"{evil}/enforce": "open"})
    listed = {"plugins": [{"plugin": evil, "state": evil, "replicas": []}]}
    one.metadata = {"local": evil}
    seen = between(one, listed=listed, then=lambda: one.decide(1.0, records=(record(evil),)))
    console = Console(width=80, force_terminal=False)

    with console.capture() as capture:
        console.print(render_top(seen, "2026-11-21T10:00:00Z"))

    assert max(map(len, capture.get().splitlines())) <= 80
    assert "\x1b" not in capture.get()
