"""Limits, overload and not being ready: decisions that fail safe without asking anybody (R25)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hookbus import subjects
from hookbus.dispatch.outbox import OVERHEAD
from hookbus.emitter import Emitter
from hookbus.errors import InvalidEvent
from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says


async def test_an_event_above_the_limit_is_blocked_before_anybody_is_asked(bus: Bus) -> None:
    plugin = Scripted("a", on_failure="open")
    await bus.start(plugin, max_event_bytes=2_000)

    decision = await bus.emit({"text": "x" * 3_000})

    assert (decision.outcome, decision.cause) == ("block", "limit")
    assert decision.code == "event_too_large"
    assert decision.by is None
    assert plugin.calls == []


async def test_event_too_large_names_the_size_and_the_limit(bus: Bus) -> None:
    await bus.start(max_event_bytes=2_000)

    decision = await bus.emit({"text": "x" * 3_000})

    assert decision.reason is not None
    size = int(decision.reason.split("takes ")[1].split(" bytes")[0])
    assert 3_000 < size < 3_300
    assert "at most 2000" in decision.reason


async def test_a_notified_event_above_the_limit_is_refused_with_both_numbers(bus: Bus) -> None:
    await bus.start(max_event_bytes=2_000)

    with pytest.raises(InvalidEvent, match=r"takes 3\d\d\d bytes, at most 2000"):
        await bus.emitter.notify("message_received", {"text": "x" * 3_000})


async def test_beyond_the_brokers_maximum_the_emitter_blocks_by_itself(bus: Bus) -> None:
    await bus.start()

    decision = await bus.emit({"text": "x" * 9_000_000})

    assert (decision.outcome, decision.cause) == ("block", "limit")
    assert decision.code == "event_too_large"
    assert decision.reason is not None
    assert "9000" in decision.reason
    assert str(8 * 1024 * 1024) in decision.reason
    assert bus.counters["decisions"] == 0


async def test_a_notification_beyond_the_brokers_maximum_is_an_invalid_event(bus: Bus) -> None:
    await bus.start()

    with pytest.raises(InvalidEvent, match=str(8 * 1024 * 1024)):
        await bus.emitter.notify("message_received", {"text": "x" * 9_000_000})


async def test_beyond_the_events_in_flight_an_emit_is_blocked_as_overloaded_at_once(
    bus: Bus,
) -> None:
    plugin = Scripted("a", SILENCE, timeout_ms=400, on_failure="open")
    await bus.start(plugin, max_in_flight=3)
    running = [bus.begin(bus.emit()) for _ in range(3)]
    await bus.until(lambda: len(plugin.calls) == 3)

    refused, seconds = await bus.timed(bus.emit())
    decided = await bus.together(running)

    assert (refused.outcome, refused.cause, refused.code) == ("block", "limit", "overloaded")
    assert seconds < 0.3
    assert [d.outcome for d in decided] == ["continue"] * 3
    assert len(plugin.calls) == 3
    assert bus.counters["overloaded"] == 1


async def test_after_an_overload_events_are_decided_again(bus: Bus) -> None:
    plugin = Scripted("a", CONTINUE.at(0.02))
    await bus.start(plugin, max_in_flight=1)
    await bus.together(bus.emit() for _ in range(4))

    decision = await bus.emit()

    assert decision.outcome == "continue"


async def test_an_emit_before_the_first_configuration_waits_for_it(bus: Bus) -> None:
    await bus.start_dispatcher()
    waiting = bus.begin(bus.emit(timeout=4.0))
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 1)

    await bus.start_registry()
    decision = await waiting

    assert decision.outcome == "continue"
    assert decision.generation > 0


async def test_an_emit_that_finds_no_configuration_is_blocked_as_not_ready(bus: Bus) -> None:
    await bus.start_dispatcher()

    decision, seconds = await bus.timed(bus.emit_within(400))

    assert (decision.outcome, decision.cause, decision.code) == ("block", "config", "not_ready")
    assert decision.generation == 0
    assert seconds == bus.about(0.36)
    assert bus.counters["not_ready"] == 1


async def test_nobody_waits_for_the_configuration_longer_than_the_ready_timeout(
    memory_bus: Bus,
) -> None:
    await memory_bus.start_dispatcher()

    decision, seconds = await memory_bus.timed(memory_bus.emit(timeout=20.0))

    assert decision.code == "not_ready"
    assert seconds == memory_bus.about(2.0)


async def test_losing_the_registry_keeps_the_last_configuration(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await bus.registry_transport.close()
    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert len(plugin.calls) == 1


async def test_a_configuration_that_cannot_be_read_leaves_the_last_good_one_in_use(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    before = bus.dispatcher.ingress.generation
    config = await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET)

    await config.put(subjects.CONFIG_KEY, b"garbage")
    await bus.until(lambda: "configuration_unreadable" in caplog.text)
    decision = await bus.emit()

    assert decision.generation == before
    assert len(plugin.calls) == 1


async def test_a_registry_writes_a_configuration_that_cannot_be_read_anew(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    config = await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET)
    broken = await config.put(subjects.CONFIG_KEY, b"garbage")

    generation = await bus.served()

    assert generation > broken
    assert (await bus.emit()).generation == generation


async def test_a_dispatcher_that_stops_decides_what_it_has_begun(bus: Bus) -> None:
    plugin = Scripted("a", CONTINUE.at(0.05))
    await bus.start(plugin)
    running = [bus.begin(bus.emit()) for _ in range(10)]
    await bus.until(lambda: len(plugin.calls) == 10)

    await bus.dispatcher.stop()

    assert [(await task).outcome for task in running] == ["continue"] * 10


async def test_dispatchers_share_the_events_and_each_is_decided_once(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    await bus.start_dispatcher()
    await bus.served()

    decisions = await bus.together(bus.emit() for _ in range(40))

    assert len({d.event.id for d in decisions}) == len(plugin.calls) == 40
    counted = [d.counters["decisions"] for d in bus.dispatchers]
    assert sum(counted) == 40
    assert all(counted)


async def test_a_decision_that_no_message_could_hold_is_a_block_without_details(bus: Bus) -> None:
    keys = [f"{k:0240}" for k in range(2_000)]
    names = [f"m{n}" for n in range(6)]
    plugins = [
        Scripted(
            name,
            says("intercept", data=dict.fromkeys(keys, name)),
            phase="mutate",
            type="bulk",
            timeout_ms=5_000,
            max_reply_bytes=1_000_000,
        )
        for name in names
    ]
    await bus.start(*plugins, types={"bulk": {"timeout_ms": 20_000, "max_timeout_ms": 20_000}})

    patient = Emitter(bus.transport, source="/test", timeout=None)
    decision = await patient.emit("bulk", dict.fromkeys(keys, "xx"), hbtimeoutms=20_000)

    assert (decision.outcome, decision.cause, decision.code) == (
        "block",
        "limit",
        "decision_too_large",
    )
    assert decision.reason is not None
    most = bus.dispatcher_transport.max_payload - OVERHEAD
    assert f"at most {most}" in decision.reason
    assert [(r.plugin, r.verdict, r.mutated, r.pointers) for r in decision.records] == [
        (name, "intercept", True, ()) for name in names
    ]
    assert decision.conflicts == ()
    [(subject, stored)] = await bus.stored("HOOKBUS_DECISIONS")
    assert (subject, stored["id"]) == ("hookbus.decision.block.bulk", decision.id)


@pytest.mark.parametrize("name", ["id", "source"])
async def test_an_event_may_not_fill_the_record_of_decisions_by_its_names(
    bus: Bus, name: str
) -> None:
    await bus.start()

    def event(length: int) -> bytes:
        members = {"specversion": "1.0", "id": "1", "source": "/x", "type": "message_received"}
        return msgspec.json.encode({**members, "data": HI, name: "x" * length})

    refused = msgspec.json.decode((await bus.send(event(1_001))).data)
    taken = msgspec.json.decode((await bus.send(event(1_000))).data)

    assert refused["error"]["pointer"] == f"/{name}"
    assert refused["error"]["message"] == "expected at most 1000 characters, got 1001"
    assert taken["outcome"] == "continue"


async def test_a_reply_that_a_slow_broker_has_not_taken_keeps_its_event_in_flight(
    memory_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, taken = memory_bus, asyncio.Event()
    await bus.start(max_in_flight=1)
    transport = bus.dispatcher.ingress._transport
    post = transport.post

    def slow(subject: str, data: bytes, **more: Any) -> bool:
        return post(subject, data, **more) and not subject.startswith(subjects.INBOX)

    monkeypatch.setattr(transport, "post", slow)
    monkeypatch.setattr(transport, "ready", taken.wait)

    first, second = await bus.emit(), await bus.emit()
    taken.set()
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 0)
    third = await bus.emit()

    assert [first.outcome, second.code, third.outcome] == ["continue", "overloaded", "continue"]
