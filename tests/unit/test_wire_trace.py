"""W3C trace context at the door, and what a decision says about its trace."""

from __future__ import annotations

import pytest

from hookbus.wire.trace import OWN, Trace, trace_id_of, trace_of

TRACE, SPAN = "a" * 32, "b" * 16
DECISION = "01a1ff58-dd41-7752-a3f1-1255ca5654a0"


@pytest.mark.parametrize(("flags", "is_sampled"), [("01", True), ("00", False), ("03", True)])
def test_a_traceparent_is_read_and_written_as_it_came(flags: str, is_sampled: bool) -> None:
    traceparent = f"00-{TRACE}-{SPAN}-{flags}"

    trace = trace_of(traceparent)

    assert trace == Trace(TRACE, SPAN, flags)
    assert (trace.is_sampled, trace.traceparent) == (is_sampled, traceparent)


@pytest.mark.parametrize("more", ["", "-", "-what-comes-later"])
def test_of_a_later_version_is_read_what_is_known(more: str) -> None:
    trace = trace_of(f"01-{TRACE}-{SPAN}-01{more}")

    assert trace == Trace(TRACE, SPAN, "01")


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "garbage",
        f"00-{'A' * 32}-{SPAN}-01",
        f"00-{'a' * 31}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-more",
    ],
)
def test_a_broken_traceparent_is_none(traceparent: str | None) -> None:
    assert trace_of(traceparent) is None


@pytest.mark.parametrize(
    ("cause", "degraded", "is_traced"),
    [
        (None, False, False),
        ("verdict", False, False),
        (None, True, True),
        ("failure", False, True),
        ("deadline", False, True),
        ("limit", False, True),
        ("audit", False, True),
    ],
)
def test_a_decision_without_a_trace_gets_one_of_its_own_where_something_failed(
    cause: str | None, degraded: bool, is_traced: bool
) -> None:
    found = trace_id_of(OWN, DECISION, cause, degraded=degraded)

    assert found == (DECISION.replace("-", "") if is_traced else None)


@pytest.mark.parametrize("cause", [None, "verdict", "failure"])
def test_a_decision_names_the_trace_of_its_event_and_none_where_nobody_traces(
    cause: str | None,
) -> None:
    assert trace_id_of(Trace(TRACE, SPAN), DECISION, cause, degraded=False) == TRACE
    assert trace_id_of(None, DECISION, cause, degraded=True) is None
