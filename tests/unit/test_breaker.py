"""When a breaker opens, what its probe decides, and what no longer counts (R20, R21)."""

from __future__ import annotations

import pytest

from hookbus.dispatch.breaker import REMEMBERED, Breaker, Breakers
from hookbus.models import FailureClass
from hookbus.snapshot import Binding, BreakerLimits

LIMITS = BreakerLimits(failures=2, open_ms=1_000, max_open_ms=3_000)


def _opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(LIMITS)
    for _ in range(2):
        breaker.record("service_error", False, at, at)
    return breaker


def _probed(breaker: Breaker, at: float, failure: FailureClass | None) -> None:
    assert breaker.admit(at)
    breaker.record(failure, False, at, at)


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(LIMITS)

    for failure in ("service_error", None, "malformed"):
        breaker.record(failure, False, 0.0, 0.0)
    states = [breaker.state]
    breaker.record("timeout", False, 0.0, 0.0)
    states.append(breaker.state)

    assert states == ["closed", "open"]


@pytest.mark.parametrize(
    ("failure", "is_shortened"),
    [("timeout", True), ("no_responders", False), ("transport", False), ("cancelled", False)],
)
def test_what_is_not_the_plugins_doing_neither_opens_nor_heals(
    failure: FailureClass, is_shortened: bool
) -> None:
    breaker = Breaker(LIMITS)

    for outcome in ("service_error", failure, failure, failure):
        breaker.record(outcome, outcome == failure and is_shortened, 0.0, 0.0)
    states = [breaker.state]
    breaker.record("service_error", False, 0.0, 0.0)
    states.append(breaker.state)

    assert states == ["closed", "open"]


def test_half_open_lets_exactly_one_probe_through() -> None:
    breaker = _opened()

    admitted = [breaker.admit(at) for at in (0.9, 1.0, 1.0, 5.0)]

    assert admitted == [False, True, False, False]


def test_a_failed_probe_doubles_the_time_up_to_its_bound() -> None:
    breaker = _opened()
    _probed(breaker, 1.0, "service_error")
    _probed(breaker, 3.0, "service_error")

    admitted = [breaker.admit(at) for at in (5.9, 6.0)]

    assert admitted == [False, True]


def test_a_probe_that_says_nothing_lets_another_through() -> None:
    breaker = _opened()
    _probed(breaker, 1.0, "cancelled")

    assert breaker.admit(1.0)


def test_a_good_probe_closes_it_and_forgets_the_failures() -> None:
    breaker = _opened()
    _probed(breaker, 1.0, None)

    breaker.record("service_error", False, 1.0, 1.0)

    assert breaker.state == "closed"


def test_many_calls_that_fail_together_open_it_for_the_first_time_only() -> None:
    breaker = _opened()

    for _ in range(20):
        breaker.record("service_error", False, 0.5, 0.0)

    assert breaker.admit(1.0)


def test_an_answer_to_an_older_call_neither_closes_it_nor_frees_the_probe() -> None:
    breaker = _opened()
    breaker.record(None, False, 0.5, 0.0)
    assert breaker.admit(1.0)

    breaker.record(None, False, 1.1, 0.0)

    assert breaker.state == "half_open"
    assert not breaker.admit(1.2)


def test_a_new_announcement_makes_it_half_open_at_once() -> None:
    breaker = _opened()

    breaker.announced()

    assert [breaker.admit(0.1), breaker.admit(0.1)] == [True, False]


def test_an_announcement_does_not_wait_for_a_probe_that_the_old_instance_got() -> None:
    breaker = _opened()
    assert breaker.admit(1.0)

    breaker.announced()

    assert breaker.admit(1.1)
    _passed(breaker, sent=1.1)
    assert breaker.state == "closed"


def _passed(breaker: Breaker, sent: float) -> None:
    breaker.record(None, False, sent + 0.1, sent)


def test_what_was_asked_before_an_announcement_says_nothing_about_the_new_instance() -> None:
    breakers = Breakers()
    binding = Binding(plugin="guard", hook="look", version="1.0.0", type="a", phase="validate")

    breakers.announced("guard", 2.0)

    assert [breakers.concerns(binding, sent) for sent in (1.9, 2.0)] == [False, True]


def test_the_announcements_of_any_number_of_names_take_a_bounded_memory() -> None:
    breakers = Breakers()

    for number in range(REMEMBERED + 5):
        breakers.announced(f"plugin-{number}", 1.0)

    assert len(breakers._announced) == REMEMBERED
