"""SyncBus: a whole bus in memory, for the tests of plugins and of services that emit."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus import (
    Block,
    Continue,
    Decision,
    Emitter,
    HookEvent,
    Intercept,
    InvalidEvent,
    InvalidManifest,
    MessageReceived,
    Plugin,
    SyncEmitter,
    Unavailable,
    Verdict,
)
from hookbus.errors import SettingsError, UnavailableCode
from hookbus.testing import SyncBus, assert_blocks, assert_continues, assert_intercepts

HI = {"text": "hi"}


@pytest.fixture
def bus() -> Iterator[SyncBus]:
    with SyncBus() as started:
        yield started


def calm() -> Plugin:
    plugin = Plugin("calm", version="1.0.0")

    @plugin.hook("message_received", phase="validate")
    async def hook(event: HookEvent[MessageReceived]) -> Verdict | None:
        if event.data.text.isupper() or event.data.text in plugin.config.get("words", ()):
            return Block("no shouting")
        return None

    return plugin


def test_a_plugin_that_is_plugged_in_decides(bus: SyncBus) -> None:
    bus.plug(calm())

    assert_blocks(bus.emit("message_received", {"text": "HI"}), by="calm")
    assert_continues(bus.emit("message_received", HI))


def test_a_plugin_gets_its_configuration_and_each_later_one(bus: SyncBus) -> None:
    plugin = calm()
    bus.plug(plugin, config={"words": ["hi"]})
    assert_blocks(bus.emit("message_received", HI))

    bus.settings(plugins={"calm": {"config": {"words": ["ho"]}}})

    assert_continues(bus.emit("message_received", HI))
    assert plugin.config == {"words": ["ho"]}


def test_a_plugin_that_is_unplugged_is_not_asked_any_more(bus: SyncBus) -> None:
    bus.plug(calm())

    bus.unplug("calm")

    assert assert_continues(bus.emit("message_received", {"text": "HI"})) == {"text": "HI"}


def test_a_plugin_that_is_killed_is_missed(bus: SyncBus) -> None:
    bus.plug(calm())

    bus.kill("calm")

    assert_blocks(
        bus.emit("message_received", HI), by="calm", code="no_responders", cause="failure"
    )


def test_a_killed_plugin_can_come_back(bus: SyncBus) -> None:
    bus.plug(calm())
    bus.kill("calm")

    bus.plug(calm())

    assert_continues(bus.emit("message_received", HI))


@pytest.mark.parametrize("method", ["kill", "unplug"])
def test_who_is_not_there_cannot_be_taken_away(bus: SyncBus, method: str) -> None:
    bus.plug(calm())

    with pytest.raises(LookupError, match="no plugin 'guard' is plugged in; there are: calm"):
        getattr(bus, method)("guard")


def test_answers_are_given_in_turn_and_the_last_for_ever(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"), Continue())

    outcomes = [bus.emit("message_received", HI).outcome for _ in range(3)]

    assert outcomes == ["block", "continue", "continue"]


def test_who_only_listens_continues_and_knows_what_was_emitted(bus: SyncBus) -> None:
    guard = bus.answers("guard", "message_received")

    bus.emit("message_received", HI, source="/chat", subject="s")

    [event] = guard.events
    assert (event.data, event.source, event.subject) == (HI, "/chat", "s")


def test_an_answer_may_be_made_of_the_event(bus: SyncBus) -> None:
    bus.answers(
        "loud",
        "message_received",
        lambda event: Intercept(merge={"text": event.data["text"].upper()}),
        phase="mutate",
    )

    assert_intercepts(bus.emit("message_received", HI), {"text": "HI"}, by="loud")


def test_an_intercept_is_of_the_mutate_phase_by_itself(bus: SyncBus) -> None:
    bus.answers("edit", "message_received", Intercept(data={"text": "ho"}))
    final = bus.answers("guard", "message_received")

    assert_intercepts(bus.emit("message_received", HI), {"text": "ho"})
    assert final.events[0].data == {"text": "ho"}


def test_a_timeout_costs_the_test_no_time(bus: SyncBus) -> None:
    bus.answers("slow", "message_received", TimeoutError(), timeout_ms=20_000)
    started = time.monotonic()

    decision = bus.emit("message_received", HI, timeout=60)

    assert_blocks(decision, by="slow", code="timeout", cause="failure")
    assert decision.records[0].ms == 20_000
    assert time.monotonic() - started < 15


def test_an_exception_is_raised_by_the_plugin(bus: SyncBus) -> None:
    bus.answers("broken", "message_received", RuntimeError("boom"), on_failure="open")

    decision = bus.emit("message_received", HI)

    assert_continues(decision, degraded=True)
    assert decision.records[0].failure == "service_error"


def test_the_same_type_again_replaces_the_answers_and_another_adds_a_hook(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"))
    bus.answers("guard", "tool_invoked", Block("no tools"))

    bus.answers("guard", "message_received", Continue())

    assert_continues(bus.emit("message_received", HI))
    assert_blocks(bus.emit("tool_invoked", {"name": "x", "args": {}}), reason="no tools")


def test_patterns_can_be_answered(bus: SyncBus) -> None:
    everything = bus.answers("guard", ">", Block("no"))

    assert_blocks(bus.emit("message_received", HI))
    assert len(everything.events) == 1


def test_an_observer_sees_the_event_soon(bus: SyncBus) -> None:
    seen = bus.answers("audit", "message_received", phase="observe")

    bus.emit("message_received", HI)
    bus.notify("message_received", {"text": "ho"})
    bus.until(lambda: len(seen.events) == 2)

    assert [event.data for event in seen.events] == [HI, {"text": "ho"}]
    assert seen.events[0].decision is not None


def test_what_never_becomes_true_is_given_up(bus: SyncBus) -> None:
    with pytest.raises(TimeoutError, match=r"did not become true within 0\.02 s"):
        bus.until(lambda: False, patience=0.02)


def test_settings_replace_all_before(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"))
    shadow = {"guard": {"hooks": {"message-received": {"mode": "shadow"}}}}

    bus.settings(plugins=shadow)
    assert_continues(bus.emit("message_received", HI))

    bus.settings(types={"order_placed": {"schema": {"required": ["total"]}}})
    assert_blocks(bus.emit("message_received", HI), by="guard")
    with pytest.raises(InvalidEvent, match="total"):
        bus.emit("order_placed", {})


def test_settings_may_be_a_file(bus: SyncBus, tmp_path: Path) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text("[types.order_placed]\n")

    bus.settings(file)

    assert_continues(bus.emit("order_placed", {"any": "thing"}))


def test_settings_that_cannot_be_are_refused_and_change_nothing(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"))

    with pytest.raises(SettingsError, match="the test's settings: timeout_ms: expected 10 or more"):
        bus.settings(timeout_ms=1)

    assert_blocks(bus.emit("message_received", HI))


def test_a_plugin_that_is_not_bound_says_why(bus: SyncBus) -> None:
    with pytest.raises(InvalidManifest, match=r"'guard' is refused: hooks\[0\].when\[0\]"):
        bus.answers("guard", "message_received", when=["nope("])

    bus.settings(mode="production")
    with pytest.raises(InvalidManifest, match="'calm' is pending: not named in the settings"):
        bus.plug(calm())


@pytest.mark.parametrize("code", ["no_responders", "timeout", "disconnected"])
def test_a_service_without_decisions_can_be_seen(bus: SyncBus, code: UnavailableCode) -> None:
    bus.plug(calm())
    closed = bus.sync_emitter(on_unavailable="block")
    opened = bus.sync_emitter(on_unavailable="continue")

    with bus.unavailable(code):
        with pytest.raises(Unavailable) as raised:
            bus.emit("message_received", {"text": "HI"})
        assert_blocks(closed.emit("message_received", HI), cause="unavailable", code=code)
        assert assert_continues(opened.emit("message_received", HI), degraded=True) == HI
        with pytest.raises(Unavailable):
            bus.notify("message_received", HI)

    assert raised.value.code == code
    assert_blocks(bus.emit("message_received", {"text": "HI"}), by="calm")


def test_an_emitter_works_on_whatever_loop_the_code_under_test_has(bus: SyncBus) -> None:
    bus.plug(calm())

    async def service(emitter: Emitter) -> list[Decision]:
        async with emitter:
            texts = ["HI", "hi"] * 10
            emits = (emitter.emit("message_received", {"text": text}) for text in texts)
            return await asyncio.gather(*emits)

    decisions = asyncio.run(service(bus.emitter(source="/chat")))

    assert [decision.is_blocked for decision in decisions] == [True, False] * 10
    assert decisions[0].event.source == "/chat"


def test_a_cancelled_emit_leaves_the_bus_usable(bus: SyncBus) -> None:
    entered = threading.Event()

    def hold(event: HookEvent[Any]) -> None:
        entered.set()

    bus.answers("slow", "message_received", hold, TimeoutError(), timeout_ms=30_000)

    async def service(emitter: Emitter) -> None:
        task = asyncio.ensure_future(emitter.emit("message_received", HI))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(service(bus.emitter()))

    bus.answers("slow", "message_received", Block("no"))
    assert_blocks(bus.emit("message_received", HI))


def test_a_sync_emitter_is_one_and_works_from_many_threads(bus: SyncBus) -> None:
    bus.plug(calm())
    outcomes: list[str] = []

    def work(emitter: SyncEmitter) -> None:
        outcomes.append(emitter.emit("message_received", {"text": "HI"}).outcome)

    with bus.sync_emitter(principal="chat") as emitter:
        threads = [threading.Thread(target=work, args=(emitter,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert outcomes == ["block"] * 8


def test_plain_handlers_run_in_threads_and_take_the_time_they_take(bus: SyncBus) -> None:
    plugin = Plugin("plain", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=20_000)
    def hook(event: HookEvent[Any]) -> Verdict:
        time.sleep(0.02)
        return Block("no")

    bus.plug(plugin)

    assert_blocks(bus.emit("message_received", HI))


def test_a_handler_that_waits_for_a_socket_gets_its_answer(bus: SyncBus) -> None:
    """Its timeout must not jump while the answer is on its way."""
    plugin = Plugin("asks", version="1.0.0")

    @plugin.hook("message_received", phase="validate", timeout_ms=20_000)
    async def hook(event: HookEvent[Any]) -> Verdict:
        near, far = socket.socketpair()
        threading.Timer(0.05, far.close).start()
        reader, writer = await asyncio.open_connection(sock=near)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        return Block("answered")

    bus.plug(plugin)

    assert_blocks(bus.emit("message_received", HI, timeout=30), reason="answered")


def test_a_bus_in_memory_has_no_url(bus: SyncBus) -> None:
    with pytest.raises(RuntimeError, match=r"pytest\.mark\.hookbus_broker"):
        _ = bus.url


def test_a_bus_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for _ in range(3):
        with SyncBus() as bus:
            bus.plug(calm())

    assert threading.active_count() == before


def test_a_closed_bus_says_so_and_may_be_closed_again() -> None:
    with SyncBus() as bus:
        emitter = bus.emitter()
    bus.close()

    with pytest.raises(RuntimeError, match="the test's bus is closed"):
        bus.emit("message_received", HI)
    with pytest.raises(RuntimeError, match="the test's bus is closed"):
        asyncio.run(emitter.emit("message_received", HI))


def test_a_slip_in_what_is_unavailable_is_told(bus: SyncBus) -> None:
    with (
        pytest.raises(ValueError, match="expected one of no_responders, timeout, disconnected"),
        bus.unavailable("no_responder"),  # type: ignore[arg-type]
    ):
        pass


def test_arguments_of_another_kind_are_said_as_what_they_are(bus: SyncBus) -> None:
    with pytest.raises(
        TypeError, match="plug: expected the Plugin that your file makes, got a str"
    ):
        bus.plug("plugin.py")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="answers: expected a plugin's name and an event type"):
        bus.answers("guard", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"settings: expected a Path, or tables by name"):
        bus.settings({"timeout_ms": 5})  # type: ignore[arg-type]


def test_an_async_function_may_answer_and_a_class_is_no_answer(bus: SyncBus) -> None:
    async def no(event: HookEvent[Any]) -> Block:
        return Block(f"not {event.type}")

    bus.answers("guard", "message_received", no)

    assert_blocks(bus.emit("message_received", {"text": "hi"}), reason="not message_received")
    with pytest.raises(TypeError, match=r"expected TimeoutError\(…\), got the class itself"):
        bus.answers("guard", "message_received", TimeoutError)  # type: ignore[arg-type]


def test_a_guard_that_fails_is_no_guard_that_said_no(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", NameError("slip"))
    decision = bus.emit("message_received", {"text": "hi"})

    with pytest.raises(AssertionError, match="expected block, cause 'verdict'"):
        assert_blocks(decision, by="guard")
    assert_blocks(decision, by="guard", cause="failure")
    assert_blocks(decision, by="guard", cause=None)


def test_many_buses_live_beside_each_other(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"))

    with SyncBus() as other:
        assert_continues(other.emit("message_received", HI))
    assert_blocks(bus.emit("message_received", HI))
