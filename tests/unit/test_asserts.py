"""What the assertions for tests take, give back, and say when something else came."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus import Block, Continue, Decision, Intercept, PluginRecord
from hookbus.models import EventRef, OtherBlock
from hookbus.testing import assert_blocks, assert_continues, assert_intercepts

EVENT = EventRef("1", "/test", "message_received")


def record(plugin: str = "guard", **said: Any) -> PluginRecord:
    return PluginRecord(plugin=plugin, hook="hook", version="1.0.0", phase="validate", **said)


def decision(outcome: Any, **said: Any) -> Decision:
    return Decision(id="1", event=EVENT, outcome=outcome, **said)


BLOCKED = decision(
    "block",
    cause="verdict",
    by="guard",
    code="rude",
    reason="guard: all capitals",
    message="Calm down.",
    data=None,
    others=(OtherBlock(by="late", cause="failure", code="timeout", reason="late: timeout"),),
    records=(
        record(verdict="block", code="rude", reason="all capitals", ms=1.5),
        record("late", failure="timeout", reason="no answer within 50 ms", ms=50.0),
    ),
)
CHANGED = decision(
    "intercept",
    data={"text": "new", "tags": [1, 2]},
    records=(record("redact", verdict="intercept", mutated=True, pointers=("/text",)),),
)
CONTINUED = decision("continue", data={"text": "hi"})
DEGRADED = decision(
    "continue",
    data={"text": "hi"},
    degraded=True,
    records=(record("late", failure="timeout", resolution="failed_open"),),
)


def failure_of(check: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as raised:
        check(*args, **kwargs)
    return str(raised.value)


def test_a_block_that_is_as_it_should_be_is_returned() -> None:
    assert assert_blocks(BLOCKED) is BLOCKED
    assert assert_blocks(BLOCKED, by="guard", code="rude", reason="capitals", cause="verdict")
    verdict = Block("no", code="x")
    assert assert_blocks(verdict, code="x", reason="no") is verdict


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"by": "other"}, "expected block, by 'other', got:"),
        ({"code": "x", "reason": "y"}, "expected block, code 'x', a reason with 'y', got:"),
        ({"cause": "failure"}, "expected block, cause 'failure', got:"),
    ],
)
def test_another_block_is_told_in_full(wanted: dict[str, Any], said: str) -> None:
    assert failure_of(assert_blocks, BLOCKED, **wanted).splitlines() == [
        said,
        "block",
        "  cause: verdict",
        "  by: guard",
        "  code: rude",
        "  reason: guard: all capitals",
        "  message: Calm down.",
        "  also: late: timeout",
        "  guard hook (validate, enforce): block, all capitals [enforced, 1.5 ms]",
        "  late hook (validate, enforce): failed: timeout, no answer within 50 ms "
        "[enforced, 50.0 ms]",
    ]


def test_no_block_is_told_with_what_came_instead() -> None:
    assert failure_of(assert_blocks, CONTINUED).splitlines() == [
        "expected block, cause 'verdict', got:",
        "continue",
        '  data: {"text":"hi"}',
        "  no plugin was asked",
    ]


def test_changed_data_is_returned() -> None:
    assert assert_intercepts(CHANGED) == {"text": "new", "tags": [1, 2]}
    assert assert_intercepts(CHANGED, {"text": "new", "tags": [1, 2]}, by="redact")
    assert assert_intercepts(Intercept(data={"a": 1}), {"a": 1}) == {"a": 1}
    assert assert_intercepts(Intercept(merge={"a": None})) == {"a": None}


def test_other_data_is_told_by_the_places_that_differ() -> None:
    said = failure_of(assert_intercepts, CHANGED, {"text": "old", "tags": [1, 2], "more": True})

    assert said.splitlines()[-7:] == [
        "the data differs:",
        "  /more",
        "    expected true",
        "    got      nothing",
        "  /text",
        '    expected "old"',
        '    got      "new"',
    ]
    assert "redact hook (validate, enforce): intercept, changed /text" in said


def test_an_intercept_of_somebody_else_or_none_is_told() -> None:
    assert failure_of(assert_intercepts, CHANGED, by="guard").startswith(
        "expected intercept by 'guard', got:\nintercept\n"
    )
    assert failure_of(assert_intercepts, BLOCKED).startswith("expected intercept, got:\nblock\n")


def test_the_data_to_go_on_with_is_returned() -> None:
    assert assert_continues(CONTINUED) == {"text": "hi"}
    assert assert_continues(None) is None
    assert assert_continues(Continue()) is None
    assert failure_of(assert_continues, BLOCKED).startswith("expected continue, got:\nblock\n")


def test_a_continue_that_only_a_failure_allows_is_none_unless_it_is_meant() -> None:
    assert assert_continues(DEGRADED, degraded=True) == {"text": "hi"}
    said = failure_of(assert_continues, DEGRADED)
    assert said.startswith("expected continue with nobody failing open, got:\ncontinue (degraded)")
    assert "failed: timeout [failed_open" in said
    assert "that is degraded" in failure_of(assert_continues, CONTINUED, degraded=True)


def test_control_characters_of_a_reason_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in failure_of(
        assert_continues, decision("block", reason="\x1b[2Jgone", data=None)
    )
    assert "\x1b" not in failure_of(assert_continues, Block("\x1b[2Jgone"))


async def _emit() -> Decision:
    return BLOCKED


def test_what_is_neither_decision_nor_verdict_is_a_wrong_use() -> None:
    forgotten = _emit()
    with pytest.raises(TypeError, match="got coroutine; is an 'await' missing"):
        assert_blocks(forgotten)  # type: ignore[arg-type]
    forgotten.close()
    with pytest.raises(TypeError, match="by, cause: a verdict has none"):
        assert_blocks(Block("no"), by="guard", cause="failure")
    with pytest.raises(TypeError, match="a patch or a merge"):
        assert_intercepts(Intercept(merge={"a": 1}), {"a": 1})
