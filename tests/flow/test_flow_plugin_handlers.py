"""What the handlers of the SDK answer on the bus: verdicts, failures, load, threads."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import msgspec
import pytest

from hookbus import (
    Block,
    Continue,
    HookEvent,
    Intercept,
    MessageReceived,
    Plugin,
    Verdict,
)
from tests.flow.bus import HI, Bus, calm_plugin

SLOW = 2_000  # milliseconds, where a test itself decides when a handler ends


def answering(verdict: object, phase: Any = "validate") -> Plugin:
    """A plugin whose handler returns *verdict*, or raises it."""
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase=phase, timeout_ms=1_000)
    async def answer(event: HookEvent[MessageReceived]) -> Any:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return plugin


@pytest.mark.parametrize("verdict", [None, Continue()])
async def test_a_handler_that_returns_none_or_continue_objects_to_nothing(
    bus: Bus, verdict: object
) -> None:
    await bus.start()
    await bus.serve(answering(verdict))

    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert decision.records[0].verdict == "continue"
    assert decision.records[0].version == "1.0.0"


async def test_a_block_of_a_handler_arrives_with_all_that_it_says(bus: Bus) -> None:
    block = Block("bad word", code="bad", message="Mind your words.", warnings=("w",))
    await bus.start()
    await bus.serve(answering(block))

    decision = await bus.emit()

    assert (decision.outcome, decision.code, decision.reason) == ("block", "bad", "a: bad word")
    assert decision.message == "Mind your words."
    assert decision.warnings == ("a: w",)


@pytest.mark.parametrize(
    "change",
    [
        Intercept(data={"text": "new", "user": "u"}),
        Intercept(data=MessageReceived(text="new", user="u")),
        Intercept(merge={"text": "new", "user": "u"}),
        Intercept(
            patch=[
                {"op": "replace", "path": "/text", "value": "new"},
                {"op": "add", "path": "/user", "value": "u"},
            ]
        ),
    ],
)
async def test_each_way_to_intercept_changes_the_data(bus: Bus, change: Intercept) -> None:
    await bus.start()
    await bus.serve(answering(change, phase="mutate"))

    decision = await bus.emit(HI)

    assert decision.outcome == "intercept"
    assert decision.data == {"text": "new", "user": "u"}


async def test_further_keys_survive_a_handler_that_copies_its_model(bus: Bus) -> None:
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="mutate", timeout_ms=1_000)
    async def redact(event: HookEvent[MessageReceived]) -> Verdict:
        return Intercept(data=event.data.model_copy(update={"text": "***"}))

    await bus.start()
    await bus.serve(plugin)

    decision = await bus.emit({"text": "secret", "channel": {"id": 5}})

    assert decision.data == {"text": "***", "channel": {"id": 5}}
    assert decision.records[0].pointers == ("/text",)


async def test_an_exception_is_a_service_error_that_leaks_nothing(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    await bus.start()
    await bus.serve(answering(RuntimeError("password is hunter2")))

    decision = await bus.emit()
    again = await bus.emit()

    assert (decision.outcome, decision.code) == ("block", "service_error")
    assert again.code == "service_error"
    assert b"hunter2" not in msgspec.json.encode(decision)
    assert b"RuntimeError" not in msgspec.json.encode(decision)
    assert "hunter2" in caplog.text  # the plugin's own log has it, and once: it raises there always
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize(
    ("verdict", "name"), [(True, "bool"), ("block", "str"), ({"verdict": "block"}, "dict")]
)
async def test_a_handler_that_returns_nonsense_is_a_service_error_that_says_what_was_expected(
    bus: Bus, verdict: object, name: str
) -> None:
    await bus.start()
    await bus.serve(answering(verdict))

    decision = await bus.emit()

    assert decision.code == "service_error"
    assert decision.records[0].reason == (
        f"the handler returned {name}, expected Continue, Intercept, Block or None"
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (Intercept(data={"text": object()}), "/data/text': expected a text, a number"),
        (Intercept(merge={"score": math.nan}), "/merge/score': expected a finite number, got nan"),
        (Intercept(merge={"text": "x\ud800"}), "/merge/text': expected a text that UTF-8 can say"),
        (
            Intercept(patch=[{"op": "add", "path": "/n", "value": math.inf}]),
            "/patch/0/value': expected a finite number, got inf",
        ),
        (Intercept(merge={"a": {1: 2}}), "/merge/a': expected keys that are texts, got 1 (int)"),
    ],
)
async def test_an_intercept_that_is_no_json_is_a_service_error_that_says_where(
    bus: Bus, change: Intercept, where: str
) -> None:
    await bus.start()
    await bus.serve(answering(change, phase="mutate"))

    decision = await bus.emit()

    assert (decision.outcome, decision.code) == ("block", "service_error")
    reason = decision.records[0].reason
    assert reason is not None
    assert reason.startswith(f"the verdict is no JSON: at '{where}")


async def test_a_block_that_json_cannot_say_is_still_a_block_with_its_texts(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    await bus.start()
    await bus.serve(answering(Block("lone \ud800 half", code="bad", message="Sorry.")))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "verdict")
    assert (decision.reason, decision.code, decision.message) == ("a: lone ? half", "bad", "Sorry.")
    assert "; at '/reason': expected a text that UTF-8 can say" in caplog.text


async def test_a_block_whose_reason_is_no_text_is_still_a_block_and_says_it(bus: Bus) -> None:
    reason: Any = 5
    await bus.start()
    await bus.serve(answering(Block(reason)))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause, decision.reason) == ("block", "verdict", "a: 5")


async def test_a_block_with_annotations_that_are_no_json_is_a_block_without_them(bus: Bus) -> None:
    annotations: Any = {"k": object()}
    await bus.start()
    await bus.serve(answering(Block("no", code="bad", annotations=annotations)))

    decision = await bus.emit()

    assert (decision.outcome, decision.reason, decision.code) == ("block", "a: no", "bad")
    assert decision.records[0].annotations == {}


async def test_data_that_does_not_fit_the_handlers_model_is_a_service_error_naming_the_field(
    bus: Bus,
) -> None:
    await bus.start(types={"message_received": {"schema": {}}})
    await bus.serve(answering(Continue()))

    decision = await bus.emit({"text": 5})

    assert decision.code == "service_error"
    assert decision.records[0].reason == "the data does not fit MessageReceived at 'text'"


async def test_a_handler_without_a_model_gets_plain_json(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook(">", phase="validate", name="all", timeout_ms=1_000)
    async def look(event):  # type: ignore[no-untyped-def]
        seen.append(event)

    await bus.start()
    await bus.serve(plugin)

    await bus.emit(HI, subject="s", hbchain="x,y", dry_run=True, other=7)

    [event] = seen
    assert event.data == HI
    assert (event.type, event.source, event.subject) == ("message_received", "/test", "s")
    assert (event.chain, event.dry_run, event.extensions) == (("x", "y"), True, {"other": 7})
    assert event.principal is None
    assert event.decision is None


async def test_a_slow_handler_does_not_hold_up_the_other_calls(bus: Bus) -> None:
    release = asyncio.Event()
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    async def wait(event: HookEvent[MessageReceived]) -> None:
        if event.data.text == "slow":
            await release.wait()

    await bus.start()
    await bus.serve(plugin)
    slow = bus.begin(bus.emit({"text": "slow"}))
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 1)

    quick = await bus.together(bus.emit({"text": "quick"}) for _ in range(20))
    release.set()

    assert [d.outcome for d in quick] == ["continue"] * 20
    assert (await slow).outcome == "continue"


async def test_beyond_64_calls_an_async_plugin_answers_overloaded_at_once(bus: Bus) -> None:
    release = asyncio.Event()
    plugin = Plugin("a", version="1.0.0")
    running: list[str] = []

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    async def wait(event: HookEvent[MessageReceived]) -> None:
        running.append(event.id)
        await release.wait()

    await bus.start()
    await bus.serve(plugin)
    first = [bus.begin(bus.emit()) for _ in range(64)]
    await bus.until(lambda: len(running) == 64)

    decision, seconds = await bus.timed(bus.emit())
    release.set()

    assert (decision.outcome, decision.code) == ("block", "overloaded")
    assert decision.records[0].reason == "64 calls in flight"
    assert seconds < 1.0
    assert [(await task).outcome for task in first] == ["continue"] * 64


async def test_beyond_16_threads_a_sync_plugin_answers_overloaded_at_once(bus: Bus) -> None:
    release = threading.Event()
    plugin = Plugin("a", version="1.0.0")
    running: list[str] = []

    @plugin.hook("message_received", phase="validate", timeout_ms=SLOW)
    def wait(event: HookEvent[MessageReceived]) -> None:
        running.append(event.id)
        release.wait()

    await bus.start()
    await bus.serve(plugin)
    first = [bus.begin(bus.emit()) for _ in range(16)]
    await bus.until(lambda: len(running) == 16)

    decision = await bus.emit()
    release.set()

    assert (decision.outcome, decision.code) == ("block", "overloaded")
    assert decision.records[0].reason == "16 calls in flight"
    assert [(await task).outcome for task in first] == ["continue"] * 16


async def test_a_thread_that_timed_out_keeps_its_slot_and_is_reported(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=50)
    def hang(event: HookEvent[MessageReceived]) -> None:
        release.wait()

    await bus.start()
    server = await bus.serve(plugin)

    decision = await bus.emit()
    await bus.until(lambda: server.stuck_threads == 1)
    [stats] = await bus.ask("STATS", "a")
    release.set()
    await bus.until(lambda: server.stuck_threads == 0)

    assert decision.code == "timeout"
    assert stats["endpoints"][0]["data"]["threads"] == 1
    assert stats["endpoints"][0]["data"]["stuck_threads"] == 1
    assert "handler_thread_still_running hook=message-received stuck=1" in caplog.text


async def test_an_async_handler_that_times_out_is_stopped_and_answers_nothing(bus: Bus) -> None:
    stopped: list[bool] = []
    plugin = Plugin("a", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=50)
    async def hang(event: HookEvent[MessageReceived]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    await bus.start()
    await bus.serve(plugin)

    decision = await bus.emit()
    await bus.until(lambda: bool(stopped))

    assert decision.code == "timeout"
    assert bus.counters["late_reply"] == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"[]", b"{}", b'"\xff"', b'{"v":1,"call":"x","plugin":"a","event":{}}'],
)
async def test_a_malformed_call_is_survived(bus: Bus, body: bytes) -> None:
    await bus.start()
    await bus.serve(calm_plugin("a"))

    await bus.transport.publish("hookbus.call.a.hook", body, reply="hookbus.reply.x.y.a")
    await bus.transport.publish("hookbus.call.a.hook", body)
    await bus.transport.flush()
    decision = await bus.emit()

    assert decision.outcome == "continue"


async def test_a_call_about_an_event_without_its_attributes_is_a_service_error(bus: Bus) -> None:
    await bus.start()
    await bus.serve(calm_plugin("a"))
    answers: list[dict[str, Any]] = []
    await bus.transport.subscribe(
        "hookbus.reply.x.*.*", lambda m: answers.append(msgspec.json.decode(m.data))
    )
    await bus.transport.flush()
    call = b'{"v":1,"call":"c","plugin":"a","hook":"hook","phase":"validate","timeout_ms":500,'

    await bus.transport.publish(
        "hookbus.call.a.hook", call + b'"event":{}}', reply="hookbus.reply.x.c.a"
    )
    await bus.until(lambda: bool(answers))

    assert (answers[0]["verdict"], answers[0]["code"]) == ("error", "service_error")


async def test_a_verdict_goes_to_a_dispatchers_reply_subject_or_nowhere(bus: Bus) -> None:
    heard: list[bytes] = []
    await bus.start()
    await bus.serve(calm_plugin("a"))
    await bus.transport.subscribe("hookbus.ctl.>", lambda m: heard.append(m.data))
    await bus.transport.flush()
    call = b'{"v":1,"call":"c","plugin":"a","hook":"hook","phase":"validate","timeout_ms":500,'
    event = b'"event":{"id":"1","source":"/t","type":"message_received","data":{"text":""}}}'

    await bus.transport.publish("hookbus.call.a.hook", call + event, reply="hookbus.ctl.a.remove")
    await bus.emit()  # is answered after it

    assert heard == []
