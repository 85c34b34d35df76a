"""``audit = "required"``: nobody is told a decision whose record is not stored (R28)."""

from __future__ import annotations

import msgspec
import pytest

from hookbus import Decision, subjects
from hookbus.config.settings import Settings
from hookbus.registry import observers
from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says

DECISIONS = subjects.DECISIONS_STREAM
OBSERVE = subjects.OBSERVE_STREAM
FULL = "insufficient storage resources available"


async def bring_back_the_streams(bus: Bus) -> None:
    await observers.ensure_streams(bus.streams, Settings())


def is_audit_block(decision: Decision) -> bool:
    return (decision.outcome, decision.cause, decision.code, decision.by) == (
        "block",
        "audit",
        "audit_unavailable",
        None,
    )


async def test_a_decision_that_must_be_recorded_is_told_once_it_is(bus: Bus) -> None:
    await bus.start(Scripted("a", CONTINUE, says("block", reason="no")), audit="required")

    decisions = [await bus.emit() for _ in range(2)]

    assert [d.outcome for d in decisions] == ["continue", "block"]
    assert [record["id"] for _, record in await bus.stored(DECISIONS)] == [d.id for d in decisions]
    assert bus.counters["audit_blocks"] == 0


async def test_a_decision_that_cannot_be_recorded_is_a_block_and_says_why(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("intercept", merge={"text": "x"}), phase="mutate"), audit="required"
    )
    await bus.forget_stream(DECISIONS)

    decision, seconds = await bus.timed(bus.emit_within(400))

    assert is_audit_block(decision)
    assert decision.reason is not None
    assert decision.reason.startswith("audit_unavailable: the decision (intercept, ")
    assert "stream HOOKBUS_DECISIONS did not acknowledge it" in decision.reason
    assert "gone" in decision.reason
    assert [r.plugin for r in decision.records] == ["a"]
    assert seconds == bus.about(0.360)
    assert bus.counters["audit_blocks"] == 1
    await bring_back_the_streams(bus)  # or the dispatcher would wait for it as it stops


async def test_the_stream_gets_what_the_emitter_was_told_when_it_is_back(bus: Bus) -> None:
    await bus.start(Scripted("a"), Scripted("o", phase="observe"), audit="required")
    await bus.forget_stream(DECISIONS)
    decision = await bus.emit_within(400)

    await bring_back_the_streams(bus)
    state = bus.dispatcher.recording
    await bus.until(lambda: state()[DECISIONS]["pending"] == 0)

    [(subject, record)] = await bus.stored(DECISIONS)
    assert subject == "hookbus.decision.block.message_received"
    assert (record["id"], record["code"]) == (decision.id, "audit_unavailable")
    [(_, observed)] = await bus.stored(OBSERVE)
    assert observed["decision"]["id"] == decision.id


async def test_a_stream_that_is_back_within_the_time_leads_to_the_decision(bus: Bus) -> None:
    await bus.start(Scripted("a"), audit="required")
    await bus.forget_stream(DECISIONS)

    emitting = bus.begin(bus.emit_within(20_000))
    state = bus.dispatcher.recording
    await bus.until(lambda: state()[DECISIONS]["error"] is not None)
    await bring_back_the_streams(bus)
    decision = await emitting

    assert decision.outcome == "continue"
    assert [record["id"] for _, record in await bus.stored(DECISIONS)] == [decision.id]


async def test_a_block_that_cannot_be_recorded_is_still_told_beside(memory_bus: Bus) -> None:
    blocks = says("block", reason="has a key", code="secret", message="Remove it.")
    await memory_bus.start(Scripted("a", blocks), audit="required")
    await memory_bus.forget_stream(DECISIONS)

    decision = await memory_bus.emit_within(200)

    assert is_audit_block(decision)
    assert decision.message is None
    [other] = decision.others
    assert (other.by, other.cause, other.code) == ("a", "verdict", "secret")
    assert (other.reason, other.message) == ("a: has a key", "Remove it.")


async def test_an_audit_block_is_not_kept_the_next_time_it_is_decided_anew(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin, audit="required")
    await bus.forget_stream(DECISIONS)
    event = msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/t",
            "type": "message_received",
            "hbtimeoutms": 200,
            "data": HI,
        }
    )

    first = msgspec.json.decode((await bus.send(event)).data)
    await bring_back_the_streams(bus)
    second = msgspec.json.decode((await bus.send(event)).data)

    assert (first["cause"], second["outcome"]) == ("audit", "continue")


@pytest.mark.parametrize("how", ["dry run", "too large", "too many plugins"])
async def test_a_decision_that_asked_nobody_waits_for_its_record_too(
    memory_bus: Bus, how: str
) -> None:
    plugins = [Scripted(name) for name in "ab"]
    await memory_bus.start(*plugins, audit="required", max_event_bytes=2_000, max_plugins=1)
    await memory_bus.forget_stream(DECISIONS)

    is_large = how == "too large"
    decision = await memory_bus.emit({"text": "x" * 3_000 * is_large}, dry_run=how == "dry run")

    assert is_audit_block(decision)
    assert decision.dry_run == (how == "dry run")


async def test_an_id_that_is_used_again_is_blocked_after_the_record_of_it(memory_bus: Bus) -> None:
    await memory_bus.start(Scripted("a"), audit="required")
    event = {"specversion": "1.0", "id": "1", "source": "/t", "type": "message_received"}
    await memory_bus.send(msgspec.json.encode({**event, "data": HI}))
    await memory_bus.forget_stream(DECISIONS)

    reply = await memory_bus.send(msgspec.json.encode({**event, "data": {"text": "other"}}))

    decision = msgspec.json.decode(reply.data)
    assert (decision["cause"], decision["others"][0]["code"]) == ("audit", "id_reuse")


async def test_a_failure_that_took_all_the_time_is_recorded_and_told(memory_bus: Bus) -> None:
    await memory_bus.start(
        Scripted("a", SILENCE, on_failure="open", timeout_ms=5_000), audit="required"
    )

    decision, seconds = await memory_bus.timed(memory_bus.emit_within(1_000))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    # 1000 ms less the way back, 50 ms, less the time for the record, 50 ms
    assert seconds == memory_bus.about(0.900)


async def test_a_full_disk_is_named_in_the_block(memory_bus: Bus) -> None:
    await memory_bus.start(Scripted("a"), audit="required")
    broker = memory_bus.engine.broker  # type: ignore[attr-defined]
    broker.jetstream.streams[DECISIONS].refusal = FULL

    decision = await memory_bus.emit()

    assert is_audit_block(decision)
    assert FULL in (decision.reason or "")


async def test_secrets_stay_out_of_an_audit_block(memory_bus: Bus) -> None:
    blocks = says("block", reason="u1@example.org is not welcome")
    await memory_bus.start(
        Scripted("a", blocks), audit="required", types={"message_received": {"secret": ["/user"]}}
    )
    await memory_bus.forget_stream(DECISIONS)

    decision = await memory_bus.emit({"text": "hi", "user": "u1@example.org"})

    assert is_audit_block(decision)
    assert decision.masked == ("/user",)
    assert "u1@example.org" not in msgspec.json.encode(decision).decode()


async def test_without_the_setting_nobody_waits_and_the_records_come_later(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    await bus.forget_stream(DECISIONS)

    decisions = [await bus.emit() for _ in range(5)]
    state = bus.dispatcher.recording
    await bus.until(lambda: state()[DECISIONS]["error"] is not None)
    await bring_back_the_streams(bus)
    await bus.until(lambda: state()[DECISIONS]["pending"] == 0)

    assert [d.outcome for d in decisions] == ["continue"] * 5
    stored = [record["id"] for _, record in await bus.stored(DECISIONS)]
    assert sorted(stored) == sorted(d.id for d in decisions)
    assert bus.counters["unrecorded"] == 0
