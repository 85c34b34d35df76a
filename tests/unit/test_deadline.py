"""The budget of an event and what each call may take of it (R6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookbus.catalog import TypeSettings
from hookbus.dispatch.deadline import SPENT, allow, budget_of, event_timeout
from hookbus.snapshot import Limits

SECONDS = st.floats(0.001, 100.0)


@pytest.mark.parametrize(
    ("timeout", "budget"),
    [(0.01, 0.005), (0.05, 0.045), (0.1, 0.09), (0.5, 0.45), (1.0, 0.95), (30.0, 29.95)],
)
def test_the_return_margin_is_ten_per_cent_between_5_and_50_ms(
    timeout: float, budget: float
) -> None:
    assert budget_of(timeout) == pytest.approx(budget)


@pytest.mark.parametrize(
    ("asked_ms", "settings", "expected"),
    [
        (None, TypeSettings(), 1.0),
        (None, TypeSettings(timeout_ms=300), 0.3),
        (500, TypeSettings(timeout_ms=300), 0.5),
        (90_000, TypeSettings(), 30.0),
        (90_000, TypeSettings(max_timeout_ms=2_000), 2.0),
        (90_000, TypeSettings(max_timeout_ms=60_000), 60.0),
        (None, TypeSettings(max_timeout_ms=400), 0.4),
    ],
)
def test_the_timeout_is_what_was_asked_for_cut_at_the_maximum(
    asked_ms: int | None, settings: TypeSettings, expected: float
) -> None:
    assert event_timeout(asked_ms, settings, Limits()) == expected


def test_a_call_that_fits_gets_its_own_timeout() -> None:
    allowance = allow(remaining=1.0, wanted=0.2, min_time=0.05, reserve=0.3, stages=3)

    assert (allowance.timeout, allowance.is_shortened) == (0.2, False)


def test_a_call_leaves_the_reserve_to_later_stages() -> None:
    allowance = allow(remaining=1.0, wanted=5.0, min_time=0.05, reserve=0.3, stages=3)

    assert (allowance.timeout, allowance.is_shortened) == (0.7, True)


def test_when_less_than_its_minimum_is_left_the_time_is_shared_equally() -> None:
    allowance = allow(remaining=0.12, wanted=5.0, min_time=0.05, reserve=0.1, stages=3)

    assert allowance.timeout == pytest.approx(0.04)


def test_a_share_larger_than_the_plugins_own_timeout_does_not_shorten_it() -> None:
    allowance = allow(remaining=0.3, wanted=0.05, min_time=0.2, reserve=0.2, stages=2)

    assert (allowance.timeout, allowance.is_shortened) == (0.05, False)


@pytest.mark.parametrize("remaining", [0.0, -0.5])
def test_without_any_budget_nothing_is_allowed(remaining: float) -> None:
    allowance = allow(remaining, wanted=0.2, min_time=0.05, reserve=0.0, stages=1)

    assert (allowance.timeout, allowance.is_shortened) == (0.0, True)


def test_the_last_whole_millisecond_is_given_away() -> None:
    allowance = allow(SPENT, wanted=0.2, min_time=0.05, reserve=0.0, stages=1)

    assert allowance.timeout == SPENT


@given(SECONDS, SECONDS, SECONDS, st.floats(0, 100.0), st.integers(1, 70))
def test_a_timeout_is_positive_and_within_what_is_left_and_wanted(
    remaining: float, wanted: float, min_time: float, reserve: float, stages: int
) -> None:
    allowance = allow(remaining, wanted, min_time, reserve, stages)

    assert 0 < allowance.timeout <= min(remaining, wanted)
    assert allowance.is_shortened == (allowance.timeout < wanted)
