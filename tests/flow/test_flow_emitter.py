"""The emitter: what it does without a decision, and what it hands back with one (R30)."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from hookbus import (
    Emitter,
    HookBlocked,
    HookbusError,
    InvalidEvent,
    MessageReceived,
    Unavailable,
    subjects,
)
from hookbus.errors import PublishDenied
from hookbus.transport import Transport
from tests.flow.bus import HI, Bus
from tests.flow.scripted import Scripted, says


async def emitter_without(what: str, bus: Bus, **options: Any) -> Emitter:
    """An emitter that cannot have a decision, because of *what*."""
    transport = await bus.connect("chat", can_cut=True)
    if what == "timeout":  # somebody is there, and says nothing
        await bus.transport.subscribe(subjects.EMIT_ALL, lambda m: None)
        await bus.transport.flush()
    elif what == "disconnected":
        await cut_off(bus, transport)
    return Emitter(transport, source="/test", principal="chat", timeout=0.2, **options)


async def cut_off(bus: Bus, transport: Transport) -> None:
    bus.cut(transport)
    await bus.until(lambda: not transport.is_connected)


@pytest.mark.parametrize("what", ["no_responders", "timeout", "disconnected"])
async def test_without_a_decision_an_emit_raises_by_default(bus: Bus, what: str) -> None:
    emitter = await emitter_without(what, bus)

    with pytest.raises(Unavailable) as unavailable:
        await emitter.emit("message_received", HI)

    assert unavailable.value.code == what
    assert str(unavailable.value).startswith(f"{what}: ")


@pytest.mark.parametrize("what", ["no_responders", "timeout", "disconnected"])
async def test_an_emitter_that_chose_block_gets_a_block(bus: Bus, what: str) -> None:
    emitter = await emitter_without(what, bus, on_unavailable="block")

    decision = await emitter.emit("message_received", HI)

    assert (decision.outcome, decision.cause) == ("block", "unavailable")
    assert (decision.code, decision.by, decision.data) == (what, None, None)
    assert decision.principal == "chat"
    with pytest.raises(HookBlocked):
        decision.raise_for_block()


@pytest.mark.parametrize("what", ["no_responders", "timeout", "disconnected"])
async def test_an_emitter_that_chose_continue_gets_its_own_data_and_a_warning(
    bus: Bus, what: str
) -> None:
    emitter = await emitter_without(what, bus, on_unavailable="continue")

    decision = await emitter.emit("message_received", HI)

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert decision.data == HI
    [warning] = decision.warnings
    assert what in warning


async def test_no_dispatcher_is_noticed_at_once(bus: Bus) -> None:
    emitter = Emitter(bus.transport, source="/test", timeout=5.0)

    with pytest.raises(Unavailable, match="hookbus up"):
        await emitter.emit("message_received", HI)

    _, seconds = await bus.timed(_swallow(emitter.emit("message_received", HI)))
    assert seconds < 0.5


async def test_an_emit_takes_no_longer_than_its_timeout(bus: Bus) -> None:
    emitter = await emitter_without("timeout", bus)

    _, seconds = await bus.timed(_swallow(emitter.emit("message_received", HI, timeout=0.3)))

    assert seconds == bus.about(0.3)


@pytest.mark.parametrize("timeout", [0, -1.0, 0.009, math.nan, math.inf, 1e10])
async def test_an_event_with_a_timeout_that_is_none_never_passes_as_unavailable(
    bus: Bus, timeout: float
) -> None:
    emitter = await emitter_without("no_responders", bus, on_unavailable="continue")

    with pytest.raises(ValueError, match="timeout: expected "):
        await emitter.emit("message_received", HI, timeout=timeout)
    with pytest.raises(ValueError, match="timeout: expected "):
        await emitter.notify("message_received", HI, timeout=timeout)


@pytest.mark.parametrize(("timeout", "said"), [(0.01, 10), (0.29, 290), (1, 1_000), (2.5, 2_500)])
async def test_the_timeout_is_told_to_the_bus_as_it_was_given(
    bus: Bus, timeout: float, said: int
) -> None:
    events: list[dict[str, Any]] = []
    await bus.transport.subscribe(
        subjects.EMIT_ALL, lambda m: events.append(msgspec.json.decode(m.data))
    )
    await bus.transport.flush()

    bus.begin(_swallow(bus.emitter.emit("message_received", HI, timeout=timeout)))
    await bus.until(lambda: bool(events))

    assert events[0]["hbtimeoutms"] == said


async def test_a_slip_in_an_attributes_name_is_an_error_before_anything_is_sent(bus: Bus) -> None:
    await bus.start()

    with pytest.raises(TypeError, match="'dryrun' is no attribute of an event; did you mean dry_"):
        await bus.emit(HI, dryrun=True)
    with pytest.raises(TypeError, match="did you mean timeout"):
        await bus.emitter.notify("message_received", HI, timeout_ms=5)


async def test_attributes_and_headers_as_objects_are_an_error_and_no_real_event(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    for wrong in ({"attributes": {"hbdryrun": True}}, {"headers": {}}, {"dry_run": "no"}):
        with pytest.raises(TypeError, match=f"{next(iter(wrong))}.*: expected "):
            await bus.emit(HI, **wrong)
    with pytest.raises(TypeError, match="'on_unavailable' is an option of the emitter"):
        await bus.emitter.notify("message_received", HI, on_unavailable="block")

    assert plugin.calls == []


async def test_an_id_that_nobody_can_keep_is_refused_before_it_is_sent(bus: Bus) -> None:
    emitter = await emitter_without("no_responders", bus, on_unavailable="continue")

    with pytest.raises(InvalidEvent) as refused:
        await emitter.emit("message_received", HI, id="x" * 100_000)

    assert refused.value.pointer == "/id"


async def test_a_connection_lost_while_waiting_ends_the_emit_at_once(bus: Bus) -> None:
    transport = await bus.connect("chat", can_cut=True)
    heard: list[bytes] = []
    await bus.transport.subscribe(subjects.EMIT_ALL, lambda m: heard.append(m.data))
    await bus.transport.flush()
    emitter = Emitter(transport, source="/test", principal="chat", timeout=10.0)
    waiting = bus.begin(emitter.emit("message_received", HI))
    await bus.until(lambda: bool(heard))

    bus.cut(transport)
    with pytest.raises(Unavailable) as unavailable:
        await waiting

    assert unavailable.value.code == "disconnected"


async def test_an_answer_that_is_no_decision_is_no_dispatchers(bus: Bus) -> None:
    answers = [b"garbage", b"{}", b'"\xff"', b"", b'{"v":1,"outcome":"continue"}']
    bodies = iter(answers)

    async def answer(reply: str) -> None:
        await bus.transport.publish(reply, next(bodies))

    await bus.transport.subscribe(subjects.EMIT_ALL, lambda m: _keep(bus, answer(m.reply)))
    await bus.transport.flush()

    codes = [await _code(bus.emit()) for _ in answers]

    assert codes == ["no_responders"] * 5


async def test_an_intercept_without_data_is_not_believed(bus: Bus) -> None:
    lie = (
        b'{"v":1,"id":"1","event":{"id":"1","source":"/","type":"message_received"},'
        b'"outcome":"intercept"}'
    )
    await bus.transport.subscribe(
        subjects.EMIT_ALL, lambda m: _keep(bus, bus.transport.publish(m.reply, lie))
    )
    await bus.transport.flush()

    assert await _code(bus.emit()) == "no_responders"


async def test_the_data_to_use_is_the_emitters_own_on_continue(bus: Bus) -> None:
    data = {"text": "hi", "nested": {"a": [1]}}
    await bus.start(Scripted("a"))

    decision = await bus.emit(data)

    assert decision.data is data


async def test_the_data_to_use_is_the_changed_one_on_intercept(bus: Bus) -> None:
    await bus.start(Scripted("a", says("intercept", merge={"text": "new"}), phase="mutate"))

    decision = await bus.emit({"text": "hi", "user": "u"})

    assert decision.data == {"text": "new", "user": "u"}


async def test_a_payload_model_is_sent_without_what_was_never_set(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    decision = await bus.emit(MessageReceived(text="hi"))

    assert plugin.calls[0]["event"]["data"] == {"text": "hi"}
    assert decision.data == {"text": "hi"}


async def test_raise_for_block_raises_what_the_emitter_needs_to_know(bus: Bus) -> None:
    await bus.start(Scripted("a", says("block", reason="no", code="c", message="Sorry.")))
    decision = await bus.emit()

    with pytest.raises(HookBlocked, match="a: no") as blocked:
        decision.raise_for_block()

    error = blocked.value
    assert (error.id, error.by, error.reason) == (decision.id, "a", "a: no")
    assert (error.code, error.message, error.cause) == ("c", "Sorry.", "verdict")


async def test_raise_for_block_is_silent_about_a_continue(bus: Bus) -> None:
    await bus.start()

    (await bus.emit()).raise_for_block()


async def test_the_principal_of_the_emitter_is_the_decisions(bus: Bus) -> None:
    await bus.start()

    decision = await bus.emit_as("chat", HI)

    assert decision.principal == "chat"


async def test_attributes_of_an_emit_become_the_events(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    decision = await bus.emit(HI, id="my-id", subject="s", time="2026-01-01T00:00:00Z", ext=1)

    event = plugin.calls[0]["event"]
    assert decision.event.id == event["id"] == "my-id"
    assert (event["subject"], event["ext"]) == ("s", 1)
    assert event["time"] == "2026-01-01T00:00:00Z"
    assert event["hbtimeoutms"] == 5_000


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (object(), "/data"),
        ({"text": "\ud800"}, "/data/text"),
        ({"text": "hi", 1.5j: 0}, "/data"),
        ({"text": "hi", "user": {1: 2}}, "/data/user"),
        ({"text": "hi", "n": [math.nan]}, "/data/n/0"),
        ({"text": "hi", "s": {1}}, "/data/s"),
        (MessageReceived.model_validate({"text": "hi", "x": object()}), "/data"),
        (MessageReceived.model_validate({"text": "hi", "x": math.inf}), "/data/x"),
    ],
)
async def test_data_that_is_no_json_is_refused_before_it_is_sent(
    bus: Bus, data: Any, pointer: str
) -> None:
    await bus.start()

    with pytest.raises(InvalidEvent) as refused:
        await bus.emit(data)

    assert refused.value.pointer == pointer
    assert bus.counters["refused"] == 0


@pytest.mark.parametrize(
    "type", [None, 5, "", "Tool", "a b", "a.>", "a..b", "x" * 64, "a.b.c.d.e.f"]
)
async def test_a_type_that_is_none_is_refused_before_it_is_sent(bus: Bus, type: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        await bus.emitter.emit(type, HI)

    assert (refused.value.code, refused.value.pointer) == ("invalid_event", "/type")


async def test_a_refused_event_raises_whatever_on_unavailable_says(bus: Bus) -> None:
    await bus.start()
    emitter = Emitter(bus.transport, source="/test", on_unavailable="continue")

    with pytest.raises(InvalidEvent) as refused:
        await emitter.emit("message_received", {"text": 5})

    assert (refused.value.code, refused.value.pointer) == ("schema", "/data/text")


@pytest.mark.parametrize("choice", ["raise", "block", "continue"])
async def test_an_emit_that_the_permissions_refuse_raises_whatever_on_unavailable_says(
    memory_bus: Bus, choice: Any
) -> None:
    await memory_bus.start()
    transport = await memory_bus.connect("chat", denied=["hookbus.emit.>", "hookbus.notify.>"])
    emitter = Emitter(transport, source="/test", principal="chat", on_unavailable=choice)

    with pytest.raises(PublishDenied):
        await emitter.emit("message_received", HI)
    with pytest.raises(PublishDenied):
        await emitter.notify("message_received", HI)


async def test_an_attribute_hbtimeoutms_is_sent_as_it_was_given(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await bus.emit(HI, hbtimeoutms=700)

    assert plugin.calls[0]["event"]["hbtimeoutms"] == 700


async def test_a_dispatcher_that_is_not_ready_makes_a_notification_unavailable(bus: Bus) -> None:
    await bus.start_dispatcher()

    with pytest.raises(Unavailable):
        await bus.emitter.notify("message_received", HI, hbtimeoutms=100)


async def test_one_emitter_serves_many_tasks(bus: Bus) -> None:
    await bus.start(Scripted("a"))

    decisions = await bus.together(bus.emit({"text": str(n)}) for n in range(50))

    assert [d.data["text"] for d in decisions] == [str(n) for n in range(50)]


def _keep(bus: Bus, work: Any) -> None:
    bus.begin(work)


async def _swallow(work: Any) -> None:
    with pytest.raises(HookbusError):
        await work


async def _code(work: Any) -> str:
    with pytest.raises(Unavailable) as unavailable:
        await work
    return unavailable.value.code
