"""Where decisions and events go: the decision log, observers, notifications (R1, R27, R28)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookbus import Block, HookEvent, MessageReceived, Plugin, Unavailable, subjects
from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says

DECISIONS = subjects.DECISIONS_STREAM
OBSERVE = subjects.OBSERVE_STREAM


async def test_every_decision_is_recorded_exactly_once(bus: Bus) -> None:
    await bus.start(Scripted("a", CONTINUE, says("block", reason="no"), says("error")))

    decisions = [await bus.emit() for _ in range(3)]
    stored = await bus.stored(DECISIONS)

    assert [record["id"] for _, record in stored] == [d.id for d in decisions]
    assert [subject for subject, _ in stored] == [
        "hookbus.decision.continue.message_received",
        "hookbus.decision.block.message_received",
        "hookbus.decision.block.message_received",
    ]


async def test_a_hundred_decisions_at_once_are_recorded_once_each(bus: Bus) -> None:
    await bus.start(Scripted("a", CONTINUE.at(0.01)))

    decisions = await bus.together(bus.emit() for _ in range(100))
    stored = await bus.stored(DECISIONS)

    assert sorted(record["id"] for _, record in stored) == sorted(d.id for d in decisions)


async def test_the_record_leaves_before_the_reply(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    order: list[str] = []
    watching = await bus.connect()
    await watching.subscribe("hookbus.decision.>", lambda m: order.append("record"))
    await watching.subscribe("_INBOX.late.*", lambda m: order.append("reply"))
    await watching.flush()

    await watching.publish(subjects.emit("anonymous", "message_received"), EVENT, reply=INBOX)
    await bus.until(lambda: len(order) == 2)

    assert order == ["record", "reply"]


async def test_a_record_holds_what_was_decided_and_not_the_data(bus: Bus) -> None:
    changes = says("intercept", merge={"text": "secret"})
    await bus.start(Scripted("a", changes, phase="mutate", version="1.2.3"))

    decision = await bus.emit()
    [(subject, record)] = await bus.stored(DECISIONS)

    assert subject == "hookbus.decision.intercept.message_received"
    assert "data" not in record
    assert record["event"] == {
        "id": decision.event.id,
        "source": "/test",
        "type": "message_received",
    }
    assert (record["outcome"], record["principal"]) == ("intercept", "anonymous")
    assert record["generation"] == decision.generation
    [plugin] = record["records"]
    assert (plugin["plugin"], plugin["version"]) == ("a", "1.2.3")
    assert (plugin["mutated"], plugin["pointers"]) == (True, ["/text"])
    assert len(plugin["patch_hash"]) == 64


async def test_blocks_that_nobody_was_asked_for_are_recorded_too(bus: Bus) -> None:
    await bus.start(max_event_bytes=2_000)

    await bus.emit({"text": "x" * 3_000})
    [(_, record)] = await bus.stored(DECISIONS)

    assert record["code"] == "event_too_large"


async def test_a_refusal_is_no_decision_and_not_recorded(bus: Bus) -> None:
    await bus.start()

    await bus.send(b"garbage")

    assert await bus.stored(DECISIONS) == []


async def test_without_an_observer_no_event_is_published_for_one(bus: Bus) -> None:
    await bus.start(Scripted("a"), Scripted("o", phase="observe", type="tool_invoked"))

    await bus.emit()

    assert await bus.stored(OBSERVE) == []


async def test_with_an_observer_the_final_event_and_the_decision_are_published_once(
    bus: Bus,
) -> None:
    changes = says("intercept", merge={"text": "changed"})
    await bus.start(Scripted("a", changes, phase="mutate"), Scripted("o", phase="observe"))

    decision = await bus.emit()
    [(subject, observed)] = await bus.stored(OBSERVE)

    assert subject == "hookbus.observe.message_received"
    assert observed["event"]["data"] == {"text": "changed"}
    assert (observed["v"], observed["phase"]) == (1, "observe")
    assert observed["principal"] == "anonymous"
    assert observed["decision"]["id"] == decision.id
    assert "data" not in observed["decision"]


async def test_the_settings_may_publish_events_that_nobody_observes(bus: Bus) -> None:
    await bus.start(observe="always")

    await bus.emit()

    assert len(await bus.stored(OBSERVE)) == 1


async def test_a_dry_run_is_recorded_and_never_observed(bus: Bus) -> None:
    await bus.start(Scripted("o", phase="observe"))

    await bus.emit(dry_run=True)

    assert await bus.stored(OBSERVE) == []
    [(_, record)] = await bus.stored(DECISIONS)
    assert record["dry_run"] is True


async def test_an_observer_gets_the_final_event_with_its_decision(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await bus.start(Scripted("a", says("intercept", merge={"text": "new"}), phase="mutate"))
    await bus.serve(_observer(seen))

    decision = await bus.emit()
    await bus.until(lambda: bool(seen))

    [event] = seen
    assert event.data.text == "new"
    assert event.principal == "anonymous"
    assert event.decision is not None
    assert event.decision.id == decision.id


async def test_an_observer_is_told_of_blocked_events_as_well(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await bus.start(Scripted("a", says("block", reason="no")))
    await bus.serve(_observer(seen))

    await bus.emit()
    await bus.until(lambda: bool(seen))

    assert seen[0].decision is not None
    assert seen[0].decision.outcome == "block"


async def test_an_observer_that_hangs_delays_no_emit(bus: Bus) -> None:
    await bus.start(Scripted("o", SILENCE, phase="observe"))

    _, seconds = await bus.timed(bus.emit())

    assert seconds < 0.5


async def test_an_observer_that_was_away_gets_what_it_missed(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    away = Scripted("o", phase="observe")
    await bus.start(away)
    await away.vanish()
    await bus.emit({"text": "missed"})

    await bus.serve(_observer(seen, name="o", hook="hook"))
    await bus.until(lambda: bool(seen))

    assert seen[0].data.text == "missed"


async def test_an_observer_whose_handler_raises_gets_the_event_again(memory_bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await memory_bus.start()
    await memory_bus.serve(_observer(seen, fails=2))

    await memory_bus.emit()
    started = memory_bus.now()
    await memory_bus.until(lambda: len(seen) == 3)

    # after 1 s and 5 s more
    assert memory_bus.now() - started == pytest.approx(6.0, abs=0.01)


async def test_an_observer_that_answers_with_a_block_has_no_say(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await bus.start()
    await bus.serve(_observer(seen, answer=Block("never mind")))

    decision = await bus.emit()
    await bus.until(lambda: bool(seen))

    assert decision.outcome == "continue"
    assert [outcome for outcome, _ in await bus.stored(DECISIONS)] == [
        "hookbus.decision.continue.message_received"
    ]


async def test_an_observer_that_is_off_is_paused(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    others: list[HookEvent[MessageReceived]] = []
    await bus.start(plugins={"off": {"hooks": {"watch": {"mode": "off"}}}})
    await bus.serve(_observer(seen, name="off"))
    await bus.serve(_observer(others, name="on"))

    await bus.emit({"text": "one"})
    await bus.emit({"text": "two"})
    await bus.until(lambda: len(others) == 2)

    assert seen == []


async def test_replicas_of_an_observer_share_its_events(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await bus.start()
    for _ in range(2):
        await bus.serve(_observer(seen))

    for number in range(10):
        await bus.emit({"text": str(number)})
    await bus.until(lambda: len(seen) >= 10)

    assert sorted(int(event.data.text) for event in seen) == list(range(10))


async def test_a_plugin_is_not_told_of_what_it_emitted_itself(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    await bus.start()
    await bus.serve(_observer(seen, name="a"))

    await bus.emit_as("a", {"text": "mine"})
    await bus.emit_as("b", {"text": "another's"})
    await bus.until(lambda: bool(seen))

    assert [event.data.text for event in seen] == ["another's"]


async def test_garbage_in_the_stream_ends_as_a_dead_letter_and_the_next_event_comes(
    bus: Bus,
) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    dead: list[dict[str, Any]] = []
    await bus.start()
    await bus.serve(_observer(seen))
    await bus.transport.subscribe(
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
        lambda m: dead.append(msgspec.json.decode(m.data)),
    )
    await bus.transport.flush()

    await bus.dispatcher_transport.publish(subjects.observe("message_received"), b'"\xff"')
    await bus.emit()
    await bus.until(lambda: bool(seen and dead))

    assert dead[0]["consumer"] == "watcher_watch"
    assert dead[0]["reason"]


async def test_a_notified_event_reaches_the_observers_without_a_decision(bus: Bus) -> None:
    seen: list[HookEvent[MessageReceived]] = []
    asked = Scripted("a")
    await bus.start(asked)
    await bus.serve(_observer(seen))

    await bus.emitter.notify("message_received", {"text": "note"})
    await bus.until(lambda: bool(seen))

    assert seen[0].data.text == "note"
    assert seen[0].decision is None
    assert asked.calls == []


async def test_a_notification_is_acknowledged_only_when_the_stream_has_it(bus: Bus) -> None:
    await bus.start()

    await bus.emitter.notify("message_received", HI)

    [(_, observed)] = await bus.stored(OBSERVE)
    assert observed["event"]["data"] == HI
    assert observed["decision"] is None


async def test_a_notification_that_no_stream_takes_is_unavailable(bus: Bus) -> None:
    await bus.start_registry()
    await bus.start_dispatcher()
    await bus.served()
    await bus.forget_stream(OBSERVE)

    with pytest.raises(Unavailable, match="not stored"):
        await bus.emitter.notify("message_received", HI)


async def test_a_notification_is_checked_like_an_emit(bus: Bus) -> None:
    await bus.start()

    reply = await bus.send(b'{"specversion":"1.0"}', kind="notify")

    assert msgspec.json.decode(reply.data)["error"]["code"] == "invalid_event"
    assert await bus.stored(OBSERVE) == []


EVENT = msgspec.json.encode(
    {"specversion": "1.0", "id": "1", "source": "/t", "type": "message_received", "data": HI}
)
INBOX = "_INBOX.late.1"


def _observer(
    seen: list[HookEvent[MessageReceived]],
    *,
    name: str = "watcher",
    hook: str = "watch",
    fails: int = 0,
    answer: Block | None = None,
) -> Plugin:
    plugin = Plugin(name, version="1.0.0")

    @plugin.hook("message_received", phase="observe", name=hook)
    async def watch(event: HookEvent[MessageReceived]) -> Block | None:
        seen.append(event)
        if len(seen) <= fails:
            raise RuntimeError("not now")
        return answer

    return plugin


async def test_without_the_decision_stream_events_are_decided_all_the_same(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"))
    await bus.start(plugin)
    await bus.forget_stream("HOOKBUS_DECISIONS")

    decision, seconds = await bus.timed(bus.emit())

    assert decision.reason == "a: no"
    assert seconds < 1.0
