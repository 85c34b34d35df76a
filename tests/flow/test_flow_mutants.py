"""What only some mutant would get wrong, and neither table nor model can see."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import islice

import msgspec
import pytest

from hookbus import subjects
from hookbus.dispatch.dispatcher import Dispatcher
from hookbus.dispatch.outbox import OVERHEAD
from hookbus.errors import Unavailable
from hookbus.measures import CountingObserver
from hookbus.message import Message
from hookbus.models import Decision
from hookbus.runtimes.remote import call_ids
from hookbus.wire.event import Inbound
from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, Scripted, says

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/test",
    "type": "message_received",
    "data": HI,
}


async def test_a_block_is_sent_without_the_change_before_it(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("intercept", merge={"text": "bye"}), phase="mutate", priority=10),
        Scripted("b", says("block", reason="no"), phase="mutate", priority=20),
    )

    reply = await bus.send(msgspec.json.encode(EVENT))
    [(_, record)] = await bus.stored(subjects.DECISIONS_STREAM)

    decision = msgspec.json.decode(reply.data)
    assert decision["outcome"] == "block"
    assert "data" not in decision
    assert "data" not in record


async def test_a_record_says_how_long_was_waited_for_whom(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("continue").at(0.06)),
        Scripted("b", when=["data.text == 'bye'"]),
    )

    decision = await bus.emit()

    asked, skipped = decision.records
    assert asked.ms / 1000 == bus.about(0.06)
    assert skipped.ms == 0


async def test_a_dispatcher_tells_which_breakers_are_not_closed(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("error")),
        Scripted("b"),
        Scripted("c", says("error"), mode="warn"),
        Scripted("d", says("error")),
        breaker={"failures": 2},
    )

    await bus.emit()
    await bus.emit()
    [stats] = await bus.ask("STATS", "hookbus-dispatcher")

    states = {"a/enforce": "open", "c/warn": "open", "d/enforce": "open"}
    assert stats["endpoints"][0]["data"]["breakers"] == states


def test_call_ids_are_22_characters_that_never_come_again() -> None:
    ids = list(islice(call_ids(), 1_000))

    assert [i for i in ids if not re.fullmatch(r"[A-Za-z0-9_-]{22}", i)] == []
    assert len(set(ids)) == 1_000


async def test_a_shadow_record_says_its_version_and_whose_decision_it_stands_beside(
    bus: Bus,
) -> None:
    await bus.start(Scripted("s", mode="shadow"))

    decision = await bus.emit()
    await bus.until(lambda: bus.dispatcher.counters.as_dict()["decisions"] == 1)
    await bus.dispatcher.stop()
    stored = await bus.stored(subjects.DECISIONS_STREAM)

    [shadow] = [message for subject, message in stored if ".shadow." in subject]
    assert (shadow["v"], shadow["decision"]) == (1, decision.id)


async def test_an_observer_hears_each_decision_how_long_it_took_and_when_hooks_were_asked(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []

    def on_decision(
        _: CountingObserver,
        inbound: Inbound,
        decision: Decision,
        seconds: float,
        asked_ms: Sequence[float] = (),
    ) -> None:
        heard.extend([inbound.event.type, decision.outcome, seconds, list(asked_ms)])

    monkeypatch.setattr(CountingObserver, "on_decision", on_decision)
    await bus.start(Scripted("a", says("continue").at(0.06)), max_event_bytes=2_000)

    await bus.emit()
    await bus.emit({"text": "x" * 2_000})

    assert heard[:2] == ["message_received", "continue"]
    assert heard[2:4] == [bus.about(0.06), [pytest.approx(0, abs=50)]]
    assert heard[4:6] == ["message_received", "block"]
    assert heard[6:] == [bus.about(0), []]


async def test_a_decision_as_large_as_a_message_may_be_is_sent(
    memory_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = memory_bus
    await bus.start(Scripted("a"))
    first = await bus.send(msgspec.json.encode(EVENT))

    size = property(lambda _: len(first.data) + OVERHEAD)
    monkeypatch.setattr(type(bus.dispatcher_transport), "max_payload", size)
    second = await bus.send(msgspec.json.encode({**EVENT, "id": "2"}))

    assert len(second.data) == len(first.data)
    assert msgspec.json.decode(second.data)["outcome"] == "continue"


async def test_after_a_defect_of_the_dispatcher_the_same_event_may_come_again(
    memory_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = memory_bus
    await bus.start(Scripted("a"))

    async def broken(*_: object) -> None:
        await asyncio.sleep(0.05)
        raise ValueError("a defect")

    with monkeypatch.context() as patching:
        patching.setattr(Dispatcher, "dispatch", broken)
        failed = await bus.together(bus.send(msgspec.json.encode(EVENT)) for _ in range(2))
    decided = await bus.send(msgspec.json.encode(EVENT))

    codes = [msgspec.json.decode(reply.data)["error"]["code"] for reply in failed]
    assert codes == ["unavailable", "unavailable"]
    assert msgspec.json.decode(decided.data)["outcome"] == "continue"


@pytest.mark.parametrize("answer", [b'{"error": {"code": 503}}', b'["seq"]', b"no"])
async def test_only_a_stream_that_says_its_sequence_has_stored_an_event(
    bus: Bus, answer: bytes
) -> None:
    await bus.start()
    await bus.forget_stream(subjects.OBSERVE_STREAM)

    async def on_observe(message: Message) -> None:
        await bus.registry_transport.publish(message.reply, answer)

    def begin(message: Message) -> None:
        bus.begin(on_observe(message))

    await bus.registry_transport.subscribe(subjects.observe("message_received"), begin)
    await bus.registry_transport.flush()

    with pytest.raises(Unavailable, match="not stored"):
        await bus.emitter.notify("message_received", HI)


async def test_a_notification_is_answered_with_whether_it_was_stored(bus: Bus) -> None:
    await bus.start()

    stored = await bus.send(msgspec.json.encode(EVENT), kind="notify")
    dry = await bus.send(msgspec.json.encode({**EVENT, "hbdryrun": True}), kind="notify")

    answers = [msgspec.json.decode(reply.data)["stored"] for reply in (stored, dry)]
    assert answers == [True, False]


async def test_a_dispatcher_is_ready_with_a_connection_and_a_configuration(bus: Bus) -> None:
    role = await bus.start_dispatcher(can_cut=True)
    is_ready = [role.is_ready]

    await bus.start_registry()
    await bus.until(lambda: role.ingress.generation == 1)
    is_ready.append(role.is_ready)
    bus.cut(bus.dispatcher_transport)
    await bus.until(lambda: not bus.dispatcher_transport.is_connected)
    is_ready.append(role.is_ready)
    bus.mend(bus.dispatcher_transport)

    assert is_ready == [False, True, False]


async def test_a_probe_whose_wait_was_cancelled_lets_another_one_through(memory_bus: Bus) -> None:
    bus = memory_bus
    errors = says("error"), says("error")
    plugin = Scripted("a", *errors, CONTINUE.at(1.0), CONTINUE)
    await bus.start(plugin, breaker={"failures": 2, "open_ms": 100, "max_open_ms": 100})
    for _ in errors:
        await bus.emit()
    await asyncio.sleep(0.2)

    bus.begin(bus.emit())
    await bus.until(lambda: len(plugin.calls) == 3)
    for task in filter(None, bus.dispatcher.ingress._running):
        task.cancel()
    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert bus.counters["refused"] == 0


async def test_a_dispatcher_that_stopped_hears_nothing_more(memory_bus: Bus) -> None:
    bus = memory_bus
    await bus.start()
    role, used = bus.dispatcher, bus.dispatcher.ingress.generation

    await role.stop()
    bus.dispatchers.remove(role)
    prefix = subjects.reply_prefix(role.instance)
    await bus.transport.publish(f"{prefix}no-call.a", b"{}")
    await bus.add(Scripted("a"))
    await bus.transport.flush()
    await asyncio.sleep(0.1)

    assert role.counters["unmatched_reply"] == 0
    assert role.ingress.generation == used
    assert await bus.ask("PING", "hookbus-dispatcher", expected=0) == []


async def test_a_dispatcher_that_stopped_waits_for_no_configuration(memory_bus: Bus) -> None:
    bus = memory_bus
    role = await bus.start_dispatcher()

    await role.stop()
    await bus.start_registry()
    await asyncio.sleep(1.0)

    assert not role.is_ready
