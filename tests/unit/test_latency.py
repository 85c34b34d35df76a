"""Histograms of several dispatchers become one, and one becomes percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookbus.latency import merged, percentile, since
from hookbus.measures import BUCKETS_MS, Histogram

BOUNDS = (10.0, 20.0, 50.0)
DURATIONS = st.lists(st.floats(0.001, 40_000), max_size=30)


def histogram(*counts: int) -> dict[str, object]:
    return {"count": sum(counts), "sum_ms": 0.0, "counts": list(counts)}


def measured(durations: Sequence[float]) -> dict[str, object]:
    found = Histogram()
    for ms in durations:
        found.observe(ms)
    return found.as_dict()


def test_merging_adds_bucket_by_bucket() -> None:
    one = {"count": 3, "sum_ms": 1.5, "counts": [1, 2, 0, 0]}
    two = {"count": 5, "sum_ms": 2.0, "counts": [0, 1, 0, 4]}

    assert merged([one, two]) == {"count": 8, "sum_ms": 3.5, "counts": [1, 3, 0, 4]}


def test_merging_nothing_is_an_empty_histogram() -> None:
    assert merged([]) == {"count": 0, "sum_ms": 0, "counts": []}
    assert percentile(merged([]), BOUNDS, 0.5) is None


def test_histograms_with_other_buckets_are_not_merged() -> None:
    with pytest.raises(ValueError, match="zip"):
        merged([histogram(1, 2), histogram(1, 2, 3)])


@pytest.mark.parametrize(
    ("counts", "share", "ms"),
    [
        ((10, 0, 0, 0), 0.5, 5.0),  # half of the first bucket, which begins at 0
        ((0, 10, 0, 0), 0.5, 15.0),
        ((0, 10, 0, 0), 1.0, 20.0),
        ((5, 5, 0, 0), 0.5, 10.0),
        ((5, 0, 5, 0), 0.75, 35.0),  # an empty bucket in between is stepped over
        ((0, 0, 4, 0), 0.0, 20.0),
        ((0, 0, 0, 3), 0.5, 50.0),  # behind the last bound nothing more is known
        ((99, 0, 0, 1), 1.0, 50.0),
    ],
)
def test_a_percentile_is_linear_inside_its_bucket(
    counts: tuple[int, ...], share: float, ms: float
) -> None:
    assert percentile(histogram(*counts), BOUNDS, share) == pytest.approx(ms)


@given(DURATIONS, st.floats(0, 1))
def test_a_percentile_lies_in_the_bucket_of_the_duration_it_stands_for(
    durations: list[float], share: float
) -> None:
    found = percentile(measured(durations), BUCKETS_MS, share)

    if not durations:
        assert found is None
        return
    nearest_rank = max(1, math.ceil(share * len(durations)))
    exact = min(sorted(durations)[nearest_rank - 1], BUCKETS_MS[-1])
    bounds = (0.0, *BUCKETS_MS)
    upper = next(index for index, bound in enumerate(bounds) if exact <= bound)
    assert found is not None
    assert bounds[upper - 1] <= found <= bounds[upper] * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_what_came_since_is_what_was_added(before: list[float], after: list[float]) -> None:
    assert since(measured(before + after), measured(before))["counts"] == measured(after)["counts"]


def test_all_of_a_new_process_came_since() -> None:
    new = histogram(1, 0, 0, 0)

    assert since(new, histogram(0, 5, 0, 0)) == new
    assert since(new, None) == new
