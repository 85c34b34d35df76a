"""`plugins show`: what several dispatchers and replicas say, added up."""

from __future__ import annotations

from typing import Any

from hookbus.cli.plugins.show import calls, failures
from hookbus.cli.role_stats import DispatcherStats, read_stats
from hookbus.measures import Latencies


def stats(instance: str, *ms: float, bounds: list[float] | None = None) -> DispatcherStats:
    latencies = Latencies()
    for one in ms:
        latencies.answered("guard", "validate", "continue", one)
    said = latencies.as_dict() if bounds is None else {**latencies.as_dict(), "bounds_ms": bounds}
    data = {"generation": 3, "latencies": said}
    [read] = read_stats([{"id": instance, "endpoints": [{"data": data}]}], DispatcherStats)
    return read


def test_calls_of_all_dispatchers_are_added_up() -> None:
    before = (stats("a", 1.0), stats("b"))
    after = (stats("a", 1.0, 1.0, 1.0), stats("b", 100.0))

    found = calls(before, after, "guard", 2.0)

    assert (found["count"], found["per_second"], found["interval_s"]) == (4, 1.5, 2.0)
    assert found["p50_ms"] <= 1.0 < 50.0 < found["p99_ms"] <= 100.0


def test_a_dispatcher_that_started_meanwhile_adds_no_rate() -> None:
    found = calls((stats("a", 1.0),), (stats("a", 1.0), stats("new", 1.0, 1.0)), "guard", 1.0)

    assert (found["count"], found["per_second"]) == (3, 0.0)


def test_a_plugin_that_nobody_called_has_no_times() -> None:
    for dispatchers in ((), (stats("a"),)):
        found = calls(dispatchers, dispatchers, "guard", 1.0)

        assert found == {
            "count": 0,
            "per_second": 0.0,
            "interval_s": 1.0,
            "p50_ms": None,
            "p99_ms": None,
        }


def test_other_buckets_are_not_mixed_in() -> None:
    after = (stats("a", 1.0), stats("b", 1.0, bounds=[5.0]))

    assert calls(after, after, "guard", 1.0)["count"] == 1


def test_an_answer_of_another_shape_is_no_dispatcher() -> None:
    shapes: list[Any] = [
        {},
        {"endpoints": []},
        {"endpoints": [{"data": {}}]},
        {"endpoints": [{"data": {"generation": "7"}}]},
        {"endpoints": [{"data": {"generation": 7, "breakers": 5}}]},
        {"endpoints": [{"data": {"generation": 7}}], "metadata": ["x"]},
        {"endpoints": [{"data": {"generation": 7, "latencies": {"plugins": {"a": {}}}}}]},
    ]

    assert read_stats(({"id": "x", **shape} for shape in shapes), DispatcherStats) == ()


def test_failures_of_all_dispatchers_are_added_up_the_most_frequent_first() -> None:
    seen = [
        DispatcherStats(instance="a", generation=1, failures={"guard": {"timeout": 1}}),
        DispatcherStats(
            instance="b", generation=1, failures={"guard": {"malformed": 2, "timeout": 2}, "x": {}}
        ),
    ]

    assert list(failures(seen, "guard").items()) == [("timeout", 3), ("malformed", 2)]
    assert failures(seen, "nobody") == {}
