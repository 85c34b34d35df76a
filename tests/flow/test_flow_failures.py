"""Failures are no verdicts: what counts as one, and what `on_failure` makes of it (R5, R8, R13)."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus import subjects
from tests.flow.bus import Bus
from tests.flow.scripted import CONTINUE, SILENCE, Reply, Scripted, says, sends

PATCH = [{"op": "add", "path": "/x", "value": 1}]

#: Replies that are no verdict, and the failure class of each.
UNUSABLE = [
    pytest.param(sends(b""), "malformed", id="empty"),
    pytest.param(sends(b"not json"), "malformed", id="not-json"),
    pytest.param(sends(b"\xff\xfe"), "malformed", id="not-utf8"),
    pytest.param(sends(b"[1, 2]"), "malformed", id="no-object"),
    pytest.param(sends(b"[" * 5_000), "malformed", id="endless-nesting"),
    pytest.param(says("continue", v=2), "malformed", id="another-version"),
    pytest.param(says("continue", v=None), "malformed", id="no-version"),
    pytest.param(says("continue", call=None), "malformed", id="no-call"),
    pytest.param(says("continue", plugin=None), "malformed", id="no-plugin"),
    pytest.param(Reply({}), "malformed", id="no-verdict"),
    pytest.param(Reply({"verdict": 1}), "malformed", id="verdict-is-a-number"),
    pytest.param(says("continue", patch=PATCH), "malformed", id="continue-with-a-patch"),
    pytest.param(says("intercept"), "malformed", id="intercept-without-a-change"),
    pytest.param(says("intercept", patch=PATCH, data={}), "malformed", id="intercept-with-two"),
    pytest.param(says("continue", call="x" * 22), "uid_mismatch", id="another-call"),
    pytest.param(says("continue", attempt=2), "uid_mismatch", id="higher-attempt"),
    pytest.param(says("continue", attempt=None), "uid_mismatch", id="no-attempt"),
    pytest.param(says("allow"), "unknown_verdict", id="unknown-word"),
    pytest.param(says("error", reason="oops"), "service_error", id="error"),
    pytest.param(says("error", code="overloaded"), "overloaded", id="overloaded"),
    pytest.param(
        sends(b"", headers={"Nats-Service-Error": "boom", "Nats-Service-Error-Code": "500"}),
        "service_error",
        id="error-headers",
    ),
    pytest.param(says("continue", pad="x" * 300_000), "reply_too_large", id="too-large"),
    pytest.param(SILENCE, "timeout", id="silence"),
]
#: Changes that cannot be applied to ``{"text": "hi"}``.
BAD_PATCHES = [
    pytest.param({"patch": "replace"}, id="no-list"),
    pytest.param({"patch": [{"path": "/x"}]}, id="no-operation"),
    pytest.param({"patch": [{"op": "add", "value": 1}]}, id="no-path"),
    pytest.param({"patch": [*PATCH, {"op": "remove", "path": "/missing"}]}, id="half-applicable"),
    pytest.param({"patch": [{"op": "test", "path": "/text", "value": "no"}]}, id="failed-test"),
    pytest.param({"patch": PATCH * 257}, id="too-many-operations"),
]


@pytest.mark.parametrize(("reply", "failure"), UNUSABLE)
async def test_an_unusable_reply_of_a_closed_plugin_blocks_with_its_failure_class(
    bus: Bus, reply: Reply, failure: str
) -> None:
    await bus.start(Scripted("a", reply, timeout_ms=100))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "failure")
    assert (decision.by, decision.code) == ("a", failure)
    assert decision.reason is not None
    assert decision.reason.startswith(f"a: {failure}: ")
    [record] = decision.records
    assert (record.verdict, record.failure, record.resolution) == (None, failure, "failed_closed")


@pytest.mark.parametrize(("reply", "failure"), UNUSABLE)
async def test_an_unusable_reply_of_an_open_plugin_lets_the_event_pass_degraded(
    bus: Bus, reply: Reply, failure: str
) -> None:
    await bus.start(Scripted("a", reply, timeout_ms=100, on_failure="open"))

    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert decision.degraded
    [record] = decision.records
    assert (record.verdict, record.failure, record.resolution) == (None, failure, "failed_open")
    assert bus.counters["failed_open"] == 1


@pytest.mark.parametrize("change", BAD_PATCHES)
async def test_a_change_that_cannot_be_applied_whole_is_a_failure_and_nothing_of_it_stays(
    bus: Bus, change: dict[str, Any]
) -> None:
    behind = Scripted("b", phase="mutate", priority=200)
    await bus.start(
        Scripted("a", says("intercept", **change), phase="mutate", on_failure="open"), behind
    )

    decision = await bus.emit({"text": "hi"})

    assert decision.outcome == "continue"
    assert decision.degraded
    assert (decision.records[0].failure, decision.records[0].mutated) == ("bad_patch", False)
    assert behind.calls[0]["event"]["data"] == {"text": "hi"}


async def test_a_bad_patch_of_a_closed_plugin_blocks(bus: Bus) -> None:
    half = says("intercept", patch=[*PATCH, {"op": "remove", "path": "/missing"}])
    await bus.start(Scripted("a", half, phase="mutate"))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause, decision.code) == ("block", "failure", "bad_patch")


@pytest.mark.parametrize(
    "change",
    [
        {"patch": [{"op": "replace", "path": "/text", "value": "x" * 3_000}]},
        {"merge": {"text": "x" * 3_000}},
        {"data": {"text": "x" * 3_000}},
    ],
)
async def test_a_change_that_makes_the_event_larger_than_its_limit_is_a_bad_patch(
    bus: Bus, change: dict[str, Any]
) -> None:
    plugin = Scripted("a", says("intercept", **change), phase="mutate")
    await bus.start(plugin, max_event_bytes=2_000)

    decision = await bus.emit()

    assert (decision.cause, decision.code) == ("failure", "bad_patch")
    assert decision.reason is not None
    assert "at most 2000" in decision.reason


async def test_a_change_nested_too_deep_is_a_bad_patch(bus: Bus) -> None:
    deep: object = 1
    for _ in range(70):
        deep = [deep]
    await bus.start(Scripted("a", says("intercept", merge={"x": deep}), phase="mutate"))

    decision = await bus.emit()

    assert (decision.cause, decision.code) == ("failure", "bad_patch")


async def test_a_change_that_breaks_the_types_schema_blocks_even_for_an_open_plugin(
    bus: Bus,
) -> None:
    validator = Scripted("v")
    breaks = says("intercept", patch=[{"op": "replace", "path": "/text", "value": 5}])
    await bus.start(Scripted("a", breaks, phase="mutate", on_failure="open"), validator)

    decision = await bus.emit()

    assert (decision.outcome, decision.cause, decision.code) == ("block", "failure", "schema")
    assert decision.by == "a"
    assert decision.reason is not None
    assert "'/text'" in decision.reason
    assert validator.calls == []


async def test_a_validate_plugin_may_not_change_anything_when_closed(bus: Bus) -> None:
    await bus.start(Scripted("a", says("intercept", patch=PATCH)))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "failure")
    assert decision.code == "phase_violation"


async def test_a_validate_plugin_may_not_change_anything_when_open(bus: Bus) -> None:
    await bus.start(Scripted("a", says("intercept", patch=PATCH), on_failure="open"))

    decision = await bus.emit({"text": "hi"})

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert decision.data == {"text": "hi"}


async def test_a_plugin_nobody_runs_is_noticed_at_once_and_the_way_out_is_named(bus: Bus) -> None:
    plugin = Scripted("a", timeout_ms=1_000)
    await bus.start(plugin)
    await plugin.vanish()

    decision, seconds = await bus.timed(bus.emit())

    assert (decision.outcome, decision.cause) == ("block", "failure")
    assert (decision.by, decision.code) == ("a", "no_responders")
    assert decision.reason is not None
    assert "hookbus plugins remove a" in decision.reason
    assert seconds < 0.5


async def test_an_open_plugin_that_nobody_runs_lets_the_event_pass_at_once(bus: Bus) -> None:
    plugin = Scripted("a", timeout_ms=1_000, on_failure="open")
    await bus.start(plugin)
    await plugin.vanish()

    decision, seconds = await bus.timed(bus.emit())

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert decision.records[0].failure == "no_responders"
    assert seconds < 0.5


async def test_three_open_plugins_that_fail_leave_three_records(bus: Bus) -> None:
    error = says("error", reason="500")
    await bus.start(*(Scripted(name, error, on_failure="open") for name in ("a", "b", "c")))

    decision = await bus.emit()

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert [(r.plugin, r.resolution) for r in decision.records] == [
        ("a", "failed_open"),
        ("b", "failed_open"),
        ("c", "failed_open"),
    ]


async def test_a_hook_that_does_not_say_how_it_fails_fails_closed(bus: Bus) -> None:
    await bus.start(Scripted("a", says("error", reason="500")))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "failure")


async def test_an_absent_response_is_called_so(bus: Bus) -> None:
    await bus.start(Scripted("a", sends(b"")))

    decision = await bus.emit()

    assert decision.reason == "a: malformed: response was absent"


async def test_a_failure_of_one_plugin_leaves_the_next_event_alone(bus: Bus) -> None:
    await bus.start(Scripted("a", sends(b"\x00garbage"), CONTINUE))

    first = await bus.emit()
    second = await bus.emit()

    assert (first.outcome, second.outcome) == ("block", "continue")


async def test_a_subject_that_the_broker_denies_to_the_dispatcher_is_a_transport_failure(
    memory_bus: Bus,
) -> None:
    plugin = Scripted("a", on_failure="open")
    await memory_bus.start_registry()
    await memory_bus.start_dispatcher(denied=["hookbus.call.a.>"])
    await memory_bus.add(plugin)

    decision, seconds = await memory_bus.timed(memory_bus.emit())

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert decision.records[0].failure == "transport"
    assert plugin.calls == []
    assert seconds == memory_bus.about(0.0)


async def test_a_lost_connection_of_the_dispatcher_ends_its_calls_at_once(bus: Bus) -> None:
    plugin = Scripted("a", SILENCE, timeout_ms=2_000)
    await bus.start(plugin, can_cut=True)
    bus.begin(bus.emit())
    await bus.until(lambda: bool(plugin.calls))

    bus.cut(bus.dispatcher_transport)
    _, seconds = await bus.timed(bus.until(lambda: bus.counters["blocked"] == 1))

    assert seconds < 1.0
    assert bus.counters["undelivered"] == 1


async def test_after_a_lost_connection_the_dispatcher_decides_again(bus: Bus) -> None:
    plugin = Scripted("a", SILENCE, says("block", reason="no"), timeout_ms=2_000)
    await bus.start(plugin, can_cut=True)
    bus.begin(bus.emit())
    await bus.until(lambda: bool(plugin.calls))
    bus.cut(bus.dispatcher_transport)
    await bus.until(lambda: bus.counters["blocked"] == 1)

    bus.mend(bus.dispatcher_transport)
    await bus.until(lambda: bus.dispatcher_transport.is_connected)
    await bus.dispatcher_transport.flush()
    decision = await bus.emit()

    assert decision.reason == "a: no"


async def test_only_the_registry_can_say_that_a_plugin_announced_itself(bus: Bus) -> None:
    """Whoever has an inbox may make a role answer there; a breaker must not close for that."""
    plugin = Scripted("a", says("error"))
    await bus.start(plugin, breaker={"failures": 1, "open_ms": 30_000})
    await bus.emit()

    await bus.transport.publish(subjects.announced("a"), b"")
    await bus.transport.publish(subjects.announced("a"), b'{"v":1}')
    await bus.transport.flush()
    still = await bus.emit()
    await bus.transport.publish(subjects.announced("a"), subjects.ANNOUNCED)
    await bus.transport.flush()
    tried = await bus.emit()

    assert (still.code, tried.code) == ("breaker_open", "service_error")
