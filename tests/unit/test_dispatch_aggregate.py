"""What answers come to: weight, order of Blocks, causes (R4, R5, R7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookbus.dispatch.aggregate import Asked, Ledger, combine
from hookbus.models import Decision
from hookbus.snapshot import Binding
from hookbus.wire.decision import encode_decision
from hookbus.wire.event import Event, Inbound
from hookbus.wire.verdict import Answer, failure

INBOUND = Inbound(Event(specversion="1.0", id="1", source="/t", type="x_done"), b"{}", "chat")


def binding(plugin: str, **options: Any) -> Binding:
    said: dict[str, Any] = {"hook": "h", "version": "1.0.0", "type": "x_done", "phase": "validate"}
    return Binding(plugin=plugin, **{**said, **options})


def decided(*heard: Asked, **data: Any) -> Decision:
    ledger = Ledger()
    for asked in heard:
        ledger.enter(asked)
    return combine(INBOUND, 7, "d", ledger, **data)


def test_nothing_heard_is_a_continue() -> None:
    decision = decided()

    assert (decision.outcome, decision.generation, decision.principal) == ("continue", 7, "chat")


def test_changed_data_is_an_intercept_even_when_it_became_null() -> None:
    assert decided(data=None).outcome == "intercept"
    assert decided(data=None).data is None


def test_a_block_keeps_changed_data_to_itself() -> None:
    block = Asked(binding("a"), Answer(verdict="block", reason="no"))

    decision = decided(block, data={"x": 1})

    assert decision.outcome == "block"
    assert "data" not in msgspec.json.decode(encode_decision(decision))


def test_verdicts_stand_before_failures_and_each_in_their_order() -> None:
    decision = decided(
        Asked(binding("a"), failure("malformed", "x")),
        Asked(binding("b"), Answer(verdict="block", reason="b")),
        Asked(binding("c"), failure("timeout", "y")),
        Asked(binding("d"), Answer(verdict="block", reason="d")),
    )

    assert decision.by == "b"
    assert [other.by for other in decision.others] == ["d", "a", "c"]


@pytest.mark.parametrize(
    ("is_shortened", "failure_class", "cause"),
    [
        (True, "timeout", "deadline"),
        (False, "timeout", "failure"),
        (True, "malformed", "failure"),
        (True, "no_responders", "failure"),
    ],
)
def test_only_a_timeout_that_the_budget_shortened_has_the_cause_deadline(
    is_shortened: bool, failure_class: Any, cause: str
) -> None:
    asked = Asked(binding("a"), failure(failure_class, "x"), is_shortened=is_shortened)

    decision = decided(asked)

    assert (decision.outcome, decision.cause, decision.code) == ("block", cause, failure_class)


def test_a_closed_plugin_that_was_never_asked_blocks_and_is_recorded_as_not_called() -> None:
    asked = Asked(binding("a"), failure("timeout", "not asked"), attempt=0, is_shortened=True)

    decision = decided(asked)

    assert (decision.outcome, decision.cause) == ("block", "deadline")
    assert (decision.records[0].attempt, decision.records[0].failure) == (0, "timeout")


def test_an_open_plugin_that_fails_degrades() -> None:
    decision = decided(Asked(binding("a", on_failure="open"), failure("timeout", "x")))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert decision.records[0].resolution == "failed_open"


def test_open_never_softens_a_block() -> None:
    block = Answer(verdict="block", reason="no")

    decision = decided(Asked(binding("a", on_failure="open"), block))

    assert (decision.outcome, decision.cause, decision.degraded) == ("block", "verdict", False)


def test_the_record_has_the_version_that_answered() -> None:
    decision = decided(
        Asked(binding("a"), Answer(verdict="continue", version="2.0.0")),
        Asked(binding("b"), Answer(verdict="continue")),
    )

    assert [record.version for record in decision.records] == ["2.0.0", "1.0.0"]


@pytest.mark.parametrize(("origin", "is_named"), [("announcement", True), ("settings", False)])
def test_unbinding_is_advised_only_where_an_announcement_alone_binds(
    origin: str, is_named: bool
) -> None:
    asked = Asked(binding("a", origin=origin), failure("no_responders", "x"))

    reason = decided(asked).reason or ""

    assert "start the plugin" in reason
    assert ("hookbus plugins remove a" in reason) is is_named
