"""`hookbus.local`: the dispatcher in the emitter's process; tests/conformance plays it, too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
from typing import Any

import msgspec
import pytest

import hookbus.local
from hookbus import Emitter, InvalidEvent, Unavailable, subjects, verdict_bytes
from hookbus.dispatch.role import DispatcherRole
from hookbus.errors import ConnectFailed, Disconnected, InvalidOption
from hookbus.local.connection import LocalConnection
from tests.flow.bus import HI, TIMEOUT, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says

DECISIONS = subjects.DECISIONS_STREAM


async def emitter_on(bus: Bus, *, principal: str = "chat", **options: Any) -> Emitter:
    """An emitter whose dispatcher, the last of the bus, is in this process, and can be cut off."""
    role = await bus.start_dispatcher(can_cut=True, local_to="/chat")
    await bus.served()
    local = LocalConnection(role, bus.dispatcher_transport, principal)
    return Emitter(
        local, **{"source": "/chat", "timeout": TIMEOUT, "principal": principal, **options}
    )


async def started(bus: Bus, *plugins: Scripted, **options: Any) -> Emitter:
    """A bus with no dispatcher but the emitter's own."""
    await bus.start_registry()
    emitter = await emitter_on(bus, **options)
    for plugin in plugins:
        await bus.add(plugin)
    return emitter


async def test_an_event_never_goes_to_a_dispatcher_over_the_broker(bus: Bus) -> None:
    guard, observer = Scripted("guard"), Scripted("o", phase="observe")
    emitter = await started(bus, guard, observer)
    heard: list[str] = []
    for subject in (subjects.EMIT_ALL, subjects.NOTIFY_ALL):
        await bus.transport.subscribe(subject, lambda m: heard.append(m.subject))
    await bus.transport.flush()

    decision = await emitter.emit("message_received", HI)
    await emitter.notify("message_received", HI)
    await bus.transport.flush()

    assert heard == []
    assert (decision.outcome, decision.principal) == ("continue", "chat")
    assert [call["event"]["source"] for call in guard.calls] == ["/chat"]
    [(subject, record)] = await bus.stored(DECISIONS)
    assert (subject, record["id"]) == (
        "hookbus.decision.continue.message_received",
        decision.id,
    )
    assert len(await bus.stored(subjects.OBSERVE_STREAM)) == 2


async def test_a_local_dispatcher_takes_nothing_from_other_emitters(bus: Bus) -> None:
    await started(bus, Scripted("guard"))

    with pytest.raises(Unavailable) as unavailable:
        await bus.emit()

    assert unavailable.value.code == "no_responders"


#: Of plugins that mutate, validate, fail and hang, by the text of the event.
TEXTS = ("hi", "no", "change", "change no", "secret", "", "ü" * 300, "fail", "late")
TYPES: tuple[dict[str, Any], ...] = (
    {},
    {"dry_run": True},
    {"hbtimeoutms": 300},
    {"subject": "s", "hbchain": "shop"},
)


class Judge(Scripted):
    """Says of each event what its text asks for."""

    def _on_call(self, message: Any) -> None:
        text = msgspec.json.decode(message.data)["event"]["data"]["text"]
        is_mutate = self.hook["phase"] == "mutate"
        if is_mutate:
            self._replies = [says("intercept", merge={"n": 1}) if "change" in text else CONTINUE]
        elif text in ("fail", "late"):
            self._replies = [says("error", reason="broken") if text == "fail" else SILENCE]
        else:
            self._replies = [says("block", reason="no", code="c") if "no" in text else CONTINUE]
        super()._on_call(message)


async def test_both_kinds_of_dispatcher_decide_alike(bus: Bus) -> None:
    """R29, for every text with every attribute."""
    hooks = {"timeout_ms": 100}
    lenient = Judge("c", on_failure="open", **hooks)
    await bus.start(Judge("a", phase="mutate", **hooks), Judge("b", **hooks), lenient)
    local = await emitter_on(bus)
    remote = Emitter(bus.transport, source="/chat", principal="chat", timeout=TIMEOUT)
    events = list(itertools.product(TEXTS, TYPES))

    async def decided(emitter: Emitter, prefix: str) -> list[bytes]:
        return [
            verdict_bytes(
                await emitter.emit("message_received", {"text": text}, id=f"{prefix}{n}", **more)
            )
            for n, (text, more) in enumerate(events)
        ]

    here, there = await decided(local, "l"), await decided(remote, "r")

    assert len(events) == 36
    assert here == there
    assert len(set(here)) > 5


async def test_a_bad_event_is_refused_in_the_same_words(bus: Bus) -> None:
    await bus.start()
    local = await emitter_on(bus)

    async def refusal(emitter: Emitter) -> tuple[str, str, str]:
        with pytest.raises(InvalidEvent) as refused:
            await emitter.emit("message_received", {"text": 1})
        return refused.value.code, refused.value.pointer, str(refused.value)

    assert await refusal(local) == await refusal(bus.emitter)


async def test_an_event_sent_twice_is_decided_once(bus: Bus) -> None:
    guard = Scripted("guard")
    emitter = await started(bus, guard)

    first, second = await bus.together(
        emitter.emit("message_received", HI, id="e1") for _ in range(2)
    )
    third = await emitter.emit("message_received", HI, id="e1")

    assert first.id == second.id == third.id
    assert len(guard.calls) == 1


async def test_an_emit_that_is_given_up_is_decided_and_recorded_all_the_same(bus: Bus) -> None:
    emitter = await started(bus, Scripted("guard", CONTINUE.at(0.1)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await emitter.emit("message_received", HI)

    await bus.until(lambda: bus.counters["decisions"] == 1)

    [(_, record)] = await bus.stored(DECISIONS)
    assert record["outcome"] == "continue"


async def test_a_dispatcher_that_does_not_answer_does_not_hold_the_emitter(
    memory_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitter = await started(memory_bus, timeout=0.2)
    monkeypatch.setattr(memory_bus.dispatcher.ingress, "take", lambda *_: None)

    with pytest.raises(Unavailable) as unavailable:
        await emitter.emit("message_received", HI)

    assert unavailable.value.code == "timeout"


@pytest.mark.parametrize(
    ("chosen", "outcome"), [("raise", None), ("block", "block"), ("continue", "continue")]
)
async def test_without_the_broker_the_emitter_does_what_it_chose(
    bus: Bus, chosen: Any, outcome: str | None
) -> None:
    """Now, and when the connection is lost while plugins are asked."""
    emitter = await started(bus, Scripted("guard", SILENCE), on_unavailable=chosen)
    transport = bus.dispatcher_transport
    in_flight = bus.begin(emitter.emit("message_received", HI))
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 1)

    bus.cut(transport)
    await bus.until(lambda: not transport.is_connected)

    assert not emitter.is_connected
    for emit in (in_flight, emitter.emit("message_received", HI)):
        if outcome is None:
            with pytest.raises(Unavailable) as unavailable:
                await emit
            assert unavailable.value.code == "disconnected"
        else:
            decision = await emit
            assert (decision.outcome, decision.code) == (outcome, "disconnected")
    bus.mend(transport)
    await bus.until(lambda: emitter.is_connected)


async def test_what_was_in_flight_when_the_broker_went_is_recorded_when_it_is_back(
    bus: Bus,
) -> None:
    emitter = await started(bus, Scripted("guard", SILENCE), on_unavailable="block")
    in_flight = bus.begin(emitter.emit("message_received", HI))
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 1)
    bus.cut(bus.dispatcher_transport)
    told = await in_flight
    await bus.until(lambda: bus.counters["decisions"] == 1)

    bus.mend(bus.dispatcher_transport)
    await bus.until(lambda: emitter.is_connected)
    recording = bus.dispatcher.recording
    await bus.until(lambda: recording()[DECISIONS]["pending"] == 0)

    [(_, record)] = await bus.stored(DECISIONS)
    assert (told.code, record["outcome"]) == ("disconnected", "block")


async def test_an_event_that_the_broker_would_not_take_is_a_block(memory_bus: Bus) -> None:
    emitter = await started(memory_bus)
    much = {"text": "x" * memory_bus.transport.max_payload}

    decision = await emitter.emit("message_received", much)
    with pytest.raises(InvalidEvent):
        await emitter.notify("message_received", much)

    assert (decision.outcome, decision.code) == ("block", "event_too_large")
    assert memory_bus.counters["blocked"] == 0  # as over the broker: the emitter's own


async def test_operators_see_it_and_whose_it_is(bus: Bus) -> None:
    await bus.start()
    await emitter_on(bus)

    answers = await bus.ask("STATS", subjects.DISPATCHER_SERVICE, expected=2)
    served = await bus.control("wait_generation", generation=1)

    metadata = [answer["metadata"] for answer in answers]
    assert sorted(m.get("local", "") for m in metadata) == ["", "/chat"]
    assert {m["pid"] for m in metadata} == {str(os.getpid())}
    assert served["dispatchers"] == 2
    for verb in ("PING", "INFO"):
        assert len(await bus.ask(verb, subjects.DISPATCHER_SERVICE, expected=2)) == 2


async def test_closing_decides_what_is_in_flight_records_it_and_leaves(bus: Bus) -> None:
    guard = Scripted("guard", CONTINUE.at(0.2))
    await bus.start_registry()
    role = await bus.start_dispatcher(local_to="/chat")
    local = LocalConnection(role, bus.dispatcher_transport, "chat")
    emitter = Emitter(local, source="/chat", timeout=TIMEOUT)
    await bus.add(guard)
    in_flight = bus.begin(emitter.emit("message_received", HI))
    await bus.until(lambda: len(guard.calls) == 1)

    await local.close()

    assert in_flight.done()
    assert (await in_flight).outcome == "continue"
    assert await bus.ask("PING", subjects.DISPATCHER_SERVICE, expected=0) == []
    assert bus.dispatcher.recording()[DECISIONS]["pending"] == 0
    with pytest.raises(Unavailable) as unavailable:
        await emitter.emit("message_received", HI)
    assert unavailable.value.code == "disconnected"
    bus.dispatchers.clear()


# -- connecting, which only a real server can show ------------------------------------------------


async def test_connect_decides_here_with_what_an_emitter_is_told(nats_bus: Bus) -> None:
    await nats_bus.start_registry()
    await nats_bus.add(Scripted("guard", says("block", reason="no")))

    async with hookbus.local.connect(
        nats_bus.url, source="/chat", principal="chat", timeout=TIMEOUT
    ) as bus:
        decision = await bus.emit("message_received", HI)
        assert bus.is_connected
    assert not bus.is_connected

    assert (decision.by, decision.principal, decision.event.source) == ("guard", "chat", "/chat")
    assert await nats_bus.ask("PING", subjects.DISPATCHER_SERVICE, expected=0) == []


async def test_two_emitters_of_a_process_have_a_dispatcher_each(nats_bus: Bus) -> None:
    await nats_bus.start_registry()
    guard = Scripted("guard")
    await nats_bus.add(guard)

    async with (
        hookbus.local.connect(nats_bus.url, source="/a", timeout=TIMEOUT) as one,
        hookbus.local.connect(nats_bus.url, source="/b", timeout=TIMEOUT) as two,
    ):
        emits = [bus.emit("message_received", HI, id="e") for bus in (one, two)]
        decisions = await nats_bus.together(emits)
        answers = await nats_bus.ask("PING", subjects.DISPATCHER_SERVICE, expected=2)

    assert [decision.event.source for decision in decisions] == ["/a", "/b"]
    assert len(guard.calls) == 2
    assert sorted(answer["metadata"]["local"] for answer in answers) == ["/a", "/b"]


async def test_another_event_loop_is_refused(nats_bus: Bus) -> None:
    await nats_bus.start_registry()
    async with hookbus.local.connect(nats_bus.url, source="/chat", timeout=TIMEOUT) as bus:
        with pytest.raises(RuntimeError, match="runs on another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(bus.emit("message_received", HI)))


FORKING = """
import asyncio, os, sys
import hookbus.local

async def main():
    async with hookbus.local.connect(sys.argv[1], source="/chat", timeout=5.0) as bus:
        child = os.fork()
        if child == 0:
            try:
                await bus.emit("message_received", {"text": "hi"})
            except RuntimeError as e:
                print(e, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print((await bus.emit("message_received", {"text": "hi"})).outcome)

asyncio.run(main())
"""


async def test_a_forked_child_is_refused_and_its_parent_goes_on(nats_bus: Bus) -> None:
    await nats_bus.start_registry()
    command = (sys.executable, "-W", "ignore", "-c", FORKING, nats_bus.url)

    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await process.communicate()

    refused, outcome = said.decode().splitlines()
    assert "the process that this one was forked from" in refused
    assert "hookbus.local.connect()" in refused
    assert outcome == "continue"


KILLED = """
import asyncio, os, signal, sys
import hookbus.local

async def main():
    async with hookbus.local.connect(sys.argv[1], source="/chat", timeout=5.0) as bus:
        print((await bus.emit("message_received", {"text": "first"})).id)
        decision = await bus.emit("message_received", {"text": "hi"})
        os.write(1, decision.id.encode())
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_killed_emitter_was_told_is_recorded(nats_bus: Bus) -> None:
    # nothing else than the record is sent when the decision is there
    await nats_bus.start_registry(types={"message_received": {"record_payload": "none"}})
    await nats_bus.add(Scripted("guard"))
    command = (sys.executable, "-u", "-c", KILLED, nats_bus.url)

    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await process.communicate()

    assert process.returncode == -signal.SIGKILL
    told = said.decode().split()
    assert len(told) == 2
    for place, decision in enumerate(told):
        message = None
        while message is None:
            message = await nats_bus.streams.read(DECISIONS, place + 1)
        assert msgspec.json.decode(message.data)["id"] == decision


async def test_an_emitter_that_need_not_have_a_bus_comes_onto_it_when_it_is_there(
    nats_bus: Bus,
) -> None:
    await nats_bus.start_registry()
    nats_bus.engine.kill()
    with pytest.raises(ConnectFailed):
        await hookbus.local.connect(nats_bus.url, source="/a", connect_timeout=0.2).open()

    async with hookbus.local.connect(
        nats_bus.url, source="/chat", on_unavailable="block", connect_timeout=0.2, timeout=TIMEOUT
    ) as bus:
        without = await bus.emit("message_received", HI)
        nats_bus.engine.revive()
        await nats_bus.until(lambda: bus.is_connected)
        decision = await bus.emit("message_received", HI)

    assert (without.outcome, without.code) == ("block", "disconnected")
    assert (decision.outcome, decision.code) == ("continue", None)


async def test_a_connection_that_is_lost_as_it_begins_is_tried_again(
    nats_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats_bus.start_registry()
    start, failures = DispatcherRole.start, [Disconnected("lost")]

    async def fails_once(role: DispatcherRole) -> None:
        await start(role)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(DispatcherRole, "start", fails_once)
    async with hookbus.local.connect(
        nats_bus.url, source="/chat", on_unavailable="block", timeout=TIMEOUT
    ) as bus:
        await nats_bus.until(lambda: bus.is_connected)
        assert (await bus.emit("message_received", HI)).outcome == "continue"
        answers = await nats_bus.ask("PING", subjects.DISPATCHER_SERVICE)

    assert len(answers) == 1  # nothing is left of the first


def test_options_that_cannot_be_are_refused_where_they_are_said() -> None:
    with pytest.raises(InvalidOption):
        hookbus.local.connect(source="/chat", timeout=-1)
    with pytest.raises(TypeError, match="unknown options"):
        hookbus.local.connect(source="/chat", nonsense=1)


def test_without_the_server_extra_the_import_says_what_to_install() -> None:
    program = "import sys; sys.modules['uuid_utils'] = None; import hookbus.local"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    last = done.stderr.splitlines()[-1]
    assert "needs the module 'uuid_utils'" in last
    assert "pip install 'hookbus[server]'" in last
