"""Histograms: what is counted where."""

from __future__ import annotations

import pytest

from hookbus.measures import BUCKETS_MS, MAX_PLUGINS, Failures, Histogram, Latencies


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
        latencies.answered(f"p{number}", 1.0)

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
