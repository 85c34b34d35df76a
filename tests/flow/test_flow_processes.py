"""Threads, forks and signals: what only the real server and real processes can show."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from hookbus import ConnectFailed, Emitter, SyncEmitter, Unavailable, subjects
from tests.flow.bus import HI, Bus
from tests.flow.scripted import ECHO, Scripted

PLUGIN = """
import asyncio, sys
from hookbus import Block, HookEvent, MessageReceived, Plugin

plugin = Plugin("a", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=5000)
async def slow(event: HookEvent[MessageReceived]):
    print("asked", flush=True)
    await asyncio.sleep(0.3)
    return Block("finished")

plugin.run()
"""
PLUGIN_WITH_A_STUCK_THREAD = """
import threading
from hookbus import HookEvent, MessageReceived, Plugin

plugin = Plugin("a", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=50)
def hang(event: HookEvent[MessageReceived]):
    print("asked", flush=True)
    threading.Event().wait()

plugin.run()
"""
FORKING = """
import os, sys
from hookbus import SyncEmitter

bus = SyncEmitter(sys.argv[1], source="/fork", timeout=5.0)
print(bus.emit("message_received", {"text": "parent"}).reason, flush=True)
child = os.fork()
if child == 0:
    print(bus.emit("message_received", {"text": "child"}).reason, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
print(bus.emit("message_received", {"text": "parent again"}).reason, flush=True)
bus.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


async def test_eight_threads_share_one_sync_emitter(nats_bus: Bus) -> None:
    await nats_bus.start(Scripted("a", ECHO))

    def emit_many(thread: int) -> list[str | None]:
        return [sync.emit("message_received", {"text": f"{thread}/{n}"}).reason for n in range(20)]

    with SyncEmitter(nats_bus.url, source="/sync", timeout=5.0) as sync:
        reasons = await nats_bus.together(asyncio.to_thread(emit_many, t) for t in range(8))

    assert reasons == [[f"a: {t}/{n}" for n in range(20)] for t in range(8)]


async def test_a_sync_emitter_notifies(nats_bus: Bus) -> None:
    await nats_bus.start()

    with SyncEmitter(nats_bus.url, source="/sync") as sync:
        await asyncio.to_thread(sync.notify, "message_received", HI)

    assert len(await nats_bus.stored("HOOKBUS_OBSERVE")) == 1


async def test_a_sync_emitter_that_was_closed_opens_again(nats_bus: Bus) -> None:
    await nats_bus.start()
    sync = SyncEmitter(nats_bus.url, source="/sync")

    await asyncio.to_thread(sync.emit, "message_received", HI)
    await asyncio.to_thread(sync.close)
    decision = await asyncio.to_thread(sync.emit, "message_received", HI)
    await asyncio.to_thread(sync.close)

    assert decision.outcome == "continue"


async def test_a_sync_emitter_that_is_closed_ends_the_emits_of_other_threads_in_order(
    nats_bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    await nats_bus.transport.subscribe(subjects.EMIT_ALL, lambda m: heard.append(m.data))
    await nats_bus.transport.flush()
    sync = SyncEmitter.connect(nats_bus.url, source="/sync", timeout=20.0)

    def code() -> str:
        with pytest.raises(Unavailable) as unavailable:
            sync.emit("message_received", HI)
        return unavailable.value.code

    emits = [nats_bus.begin(asyncio.to_thread(code)) for _ in range(4)]
    await nats_bus.until(lambda: len(heard) == 4)
    await asyncio.to_thread(sync.close)
    codes = [await emit for emit in emits]
    gc.collect()

    assert codes == ["disconnected"] * 4
    assert caplog.text == ""


async def test_a_sync_emitter_that_is_closed_all_the_time_serves_its_threads(
    nats_bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    await nats_bus.start()

    def emit_many() -> set[str]:
        return {sync.emit("message_received", HI).outcome for _ in range(30)}

    with SyncEmitter.connect(
        nats_bus.url, source="/sync", timeout=5.0, on_unavailable="continue"
    ) as sync:
        threads = [nats_bus.begin(asyncio.to_thread(emit_many)) for _ in range(4)]
        while not all(thread.done() for thread in threads):
            await asyncio.to_thread(sync.close)
    gc.collect()

    assert [await thread for thread in threads] == [{"continue"}] * 4
    assert "never retrieved" not in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_sync_emitter_works_in_a_forked_child_and_goes_on_in_the_parent(
    nats_bus: Bus,
) -> None:
    await nats_bus.start(Scripted("a", ECHO))

    process = await _python(FORKING, nats_bus.url)
    output, _ = await process.communicate()

    assert output.decode().split("\n")[:-1] == ["a: parent", "a: child", "a: parent again"]
    assert process.returncode == 0


async def test_a_sync_emitter_without_a_broker_does_what_was_chosen(nats_bus: Bus) -> None:
    nats_bus.engine.kill()
    raising = SyncEmitter(nats_bus.url, source="/sync", connect_timeout=0.2)
    blocking = SyncEmitter(
        nats_bus.url, source="/sync", on_unavailable="block", connect_timeout=0.2
    )

    with pytest.raises(Unavailable) as unavailable:
        await asyncio.to_thread(raising.emit, "message_received", HI)
    decision = await asyncio.to_thread(blocking.emit, "message_received", HI)
    with pytest.raises(Unavailable):
        await asyncio.to_thread(blocking.notify, "message_received", HI)
    for emitter in (raising, blocking):
        await asyncio.to_thread(emitter.close)

    assert unavailable.value.code == "disconnected"
    assert (decision.outcome, decision.cause, decision.code) == (
        "block",
        "unavailable",
        "disconnected",
    )


async def test_connecting_an_emitter_without_a_broker_says_what_was_tried(nats_bus: Bus) -> None:
    nats_bus.engine.kill()

    with pytest.raises(ConnectFailed, match="hookbus up") as failed:
        async with Emitter.connect(nats_bus.url, source="/test", connect_timeout=0.2):
            pass

    assert nats_bus.url in str(failed.value)


@pytest.mark.parametrize(("choice", "outcome"), [("block", "block"), ("continue", "continue")])
async def test_an_emitter_that_chose_what_to_do_begins_without_a_broker_and_asks_once_there_is_one(
    nats_bus: Bus, choice: Any, outcome: str
) -> None:
    nats_bus.engine.kill()
    async with Emitter.connect(
        nats_bus.url, source="/test", on_unavailable=choice, connect_timeout=0.2
    ) as emitter:
        alone, seconds = await nats_bus.timed(emitter.emit("message_received", HI))
        with pytest.raises(Unavailable, match="hookbus up"):
            await emitter.notify("message_received", HI)
        await asyncio.to_thread(nats_bus.engine.revive)
        await _until_answered(emitter)

    assert (alone.outcome, alone.code) == (outcome, "disconnected")
    assert seconds < 0.2


@pytest.mark.parametrize("choice", ["raise", "block"])
async def test_a_sync_emitter_without_a_broker_asks_once_there_is_one(
    nats_bus: Bus, choice: Any
) -> None:
    nats_bus.engine.kill()
    sync = SyncEmitter(nats_bus.url, source="/sync", on_unavailable=choice, connect_timeout=0.2)

    def code() -> str | None:
        try:
            return sync.emit("message_received", HI).code
        except Unavailable as e:
            return e.code

    alone = await asyncio.to_thread(code)
    await asyncio.to_thread(nats_bus.engine.revive)
    while (asked := await asyncio.to_thread(code)) == "disconnected":
        await asyncio.sleep(0.02)
    await asyncio.to_thread(sync.close)

    assert (alone, asked) == ("disconnected", "no_responders")


async def test_an_emitter_connects_and_closes_by_itself(nats_bus: Bus) -> None:
    await nats_bus.start()

    async with Emitter.connect(nats_bus.url, source="/test", principal="chat") as emitter:
        decision = await emitter.emit("message_received", HI)

    assert (decision.outcome, decision.principal) == ("continue", "chat")
    with pytest.raises(RuntimeError, match="not open"):
        await emitter.emit("message_received", HI)


async def test_sigterm_lets_a_plugin_finish_what_it_was_asked_and_unbinds_it(
    nats_bus: Bus,
) -> None:
    await nats_bus.start()
    process = await _python(PLUGIN, nats_bus.url)
    await nats_bus.until_bound("a")
    running = nats_bus.begin(nats_bus.emit())
    assert process.stdout is not None
    await process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    await nats_bus.until_unbound("a")
    after = await nats_bus.emit()
    code = await process.wait()

    assert (await running).reason == "a: finished"
    assert after.records == ()
    assert code == 0


async def test_sigkill_of_a_plugin_unbinds_nothing(nats_bus: Bus) -> None:
    await nats_bus.start()
    process = await _python(PLUGIN, nats_bus.url)
    await nats_bus.until_bound("a")

    process.kill()
    await process.wait()
    decision, seconds = await nats_bus.timed(nats_bus.emit())

    assert (decision.outcome, decision.by, decision.code) == ("block", "a", "no_responders")
    assert seconds < 1.0


async def test_a_stuck_thread_does_not_keep_a_plugin_from_ending(nats_bus: Bus) -> None:
    await nats_bus.start()
    process = await _python(PLUGIN_WITH_A_STUCK_THREAD, nats_bus.url)
    await nats_bus.until_bound("a")
    decision = await nats_bus.emit()

    process.send_signal(signal.SIGTERM)
    code = await process.wait()

    assert decision.code == "timeout"
    assert code == 0


async def test_a_plugin_that_starts_before_the_broker_waits_for_it(
    nats_bus: Bus, tmp_path: Path
) -> None:
    nats_bus.engine.kill()
    process = await _python(PLUGIN, nats_bus.url, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    complaint = await process.stderr.readline()

    nats_bus.engine.revive()
    await nats_bus.until(lambda: nats_bus.transport.is_connected)
    await nats_bus.start()
    await nats_bus.until_bound("a")
    process.kill()
    await process.communicate()

    assert b"trying on" in complaint


async def _python(
    program: str, url: str, *, stderr: int | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        url,
        env={**os.environ, "HOOKBUS_NATS_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


async def _until_answered(emitter: Emitter) -> None:
    """Return once the broker answers: with "nobody listens", as no dispatcher runs on it."""
    while (await emitter.emit("message_received", HI)).code == "disconnected":
        await asyncio.sleep(0.02)
    assert (await emitter.emit("message_received", HI)).code == "no_responders"
