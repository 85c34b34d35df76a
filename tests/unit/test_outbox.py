"""What is handed over for a stream is kept until the stream has it, or given up and said (R28)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from hookbus.dispatch import outbox as module
from hookbus.dispatch.outbox import ACK_WAIT, AWAITED_PAUSE, FIRST_PAUSE, STOP_WAIT, Outbox
from hookbus.measures import Counters
from hookbus.message import Message
from hookbus.streams import StreamSpec
from hookbus.testing import MemoryBroker, MemoryStreams, MemoryTransport, run_virtual
from hookbus.testing.jetstream import Stream

NAME = "RECORDS"
SPEC = StreamSpec(NAME, "records.>", max_age=60, max_bytes=1024)
FULL = "insufficient storage resources available"


class Stage:
    """A stream in memory and an outbox that writes to it."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.counters = Counters()
        self.transport = MemoryTransport(self.broker)
        self.outbox = Outbox(self.transport, NAME, self.counters)
        self.published: list[tuple[float, str]] = []

    async def start(self, *, is_stream_there: bool = True) -> None:
        await self.outbox.start()
        if is_stream_there:
            await self.make_stream()

    async def make_stream(self) -> None:
        await MemoryStreams(self.broker).ensure_stream(SPEC)

    async def watch(self) -> None:
        """Note when each attempt comes by, and its id."""
        await MemoryTransport(self.broker).subscribe("records.>", self._on_attempt)

    def _on_attempt(self, message: Message) -> None:
        assert message.headers is not None
        self.published.append((now(), message.headers["Nats-Msg-Id"]))

    async def send(self, *ids: str) -> None:
        for name in ids:
            self.outbox.send("records.new", name, name.encode())

    @property
    def stream(self) -> Stream:
        return self.broker.jetstream.streams[NAME]

    @property
    def stored(self) -> list[str]:
        return [message.data.decode() for message in self.stream.messages]


def now() -> float:
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Let what is on its way arrive, without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(asyncio.wait_for(scene, 3600))


def test_what_is_stored_is_forgotten() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        await stage.send("a", "b")
        assert stage.outbox.state()["pending"] == 2
        await settle()
        assert stage.stored == ["a", "b"]
        assert stage.outbox.state() == {
            "pending": 0,
            "pending_bytes": 0,
            "oldest_ms": 0,
            "given_up": 0,
            "error": None,
        }

    play(scene())


def test_what_a_full_disk_refuses_is_sent_again_with_its_id_until_there_is_room() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        await stage.watch()
        stage.stream.refusal = FULL
        await stage.send("a", "b")
        await asyncio.sleep(0.5)
        state = stage.outbox.state()
        assert (state["pending"], state["oldest_ms"], state["error"]) == (2, 500, FULL)
        stage.stream.refusal = None
        await asyncio.sleep(1.0)
        assert stage.stored == ["a", "b"]
        assert stage.outbox.state()["error"] is None
        assert {name for _, name in stage.published} == {"a", "b"}
        attempts = [at for at, name in stage.published if name == "a"]
        # pauses double: 50 ms, 100 ms, 200 ms, …
        assert attempts[:4] == pytest.approx([0, 0.05, 0.15, 0.35], abs=0.011)
        assert stage.counters["recorded_again"] == len(stage.published) - 2

    play(scene())


def test_what_no_stream_takes_is_stored_once_there_is_one() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start(is_stream_there=False)
        await stage.send("a")
        await settle()
        assert "gone" in stage.outbox.state()["error"]
        await stage.make_stream()
        await asyncio.sleep(2 * FIRST_PAUSE)
        assert stage.stored == ["a"]

    play(scene())


def test_a_message_that_is_not_answered_is_sent_again_and_stored_once() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        route = stage.broker.jetstream._route
        stage.broker.jetstream._route = lambda message: None  # acknowledgements are lost
        await stage.send("a")
        await asyncio.sleep(ACK_WAIT - 0.01)
        stage.broker.jetstream._route = route
        assert (stage.counters["recorded_again"], len(stage.outbox)) == (0, 1)
        await asyncio.sleep(2 * FIRST_PAUSE)
        assert (stage.counters["recorded_again"], len(stage.outbox)) == (1, 0)
        assert stage.stored == ["a"]

    play(scene())


def test_a_stream_that_is_slow_is_not_sent_everything_twice() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.broker.latency = 1.6  # longer than an acknowledgement is waited for
        await stage.start()
        for number in range(40):
            await stage.send(str(number))
            await asyncio.sleep(0.1)
        await asyncio.sleep(3.0)
        assert len(stage.outbox) == 0
        # the first ones may be: nothing had been acknowledged until then
        assert stage.counters["recorded_again"] <= 11

    play(scene())


def test_what_is_recorded_while_the_connection_is_down_is_stored_once_it_is_back() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        await stage.send("on its way")
        stage.broker.disconnect(stage.transport)
        await stage.send("meanwhile")
        await asyncio.sleep(60)
        assert stage.outbox.state()["pending"] == 2
        stage.broker.reconnect(stage.transport)
        await settle()
        await asyncio.sleep(0)
        assert (stage.stored, len(stage.outbox)) == (["on its way", "meanwhile"], 0)
        assert stage.counters["unrecorded"] == 0

    play(scene())


def test_a_thousand_that_wait_are_stored_as_fast_as_the_stream_answers() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.broker.disconnect(stage.transport)
        await stage.send(*map(str, range(1_000)))
        stage.broker.reconnect(stage.transport)
        await asyncio.sleep(2 * FIRST_PAUSE)
        assert stage.stored == list(map(str, range(1_000)))

    play(scene())


@pytest.mark.parametrize(("limit", "most"), [("MAX_MESSAGES", 3), ("MAX_BYTES", 3)])
def test_beyond_the_most_the_oldest_is_given_up_and_counted(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, most)

    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.broker.disconnect(stage.transport)
        await stage.send(*"abcde")
        state = stage.outbox.state()
        assert (state["pending"], state["given_up"]) == (3, 2)
        assert stage.counters["unrecorded"] == 2
        stage.broker.reconnect(stage.transport)
        await asyncio.sleep(2 * FIRST_PAUSE)
        assert stage.stored == ["c", "d", "e"]

    play(scene())


def test_a_message_that_no_attempt_could_store_is_given_up_at_once() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.broker.max_payload = 100
        await stage.start()
        stage.outbox.send("records.new", "a", b"x" * 101)
        assert (len(stage.outbox), stage.counters["unrecorded"]) == (0, 1)

    play(scene())


def test_one_that_is_refused_for_ever_is_not_sent_again_with_each_new_one() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        await stage.watch()
        stage.outbox.send("nowhere.new", "lost", b"")
        for number in range(100):
            await stage.send(str(number))
            await asyncio.sleep(0.1)
        assert len(stage.stored) == 100
        # 50 ms, 100 ms, … 4 s: eight in ten seconds, not a hundred
        assert stage.counters["recorded_again"] <= 9

    play(scene())


def test_an_answer_of_another_stream_or_of_nobody_is_no_acknowledgement() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start(is_stream_there=False)
        seen: list[str] = []
        stranger = MemoryTransport(stage.broker)
        await stranger.subscribe("records.>", lambda message: seen.append(message.reply))
        await stage.send("a")
        await settle()
        for body in (b'{"stream":"OTHER","seq":1}', b'{"v":1}', b"+ACK", b"\xff", b"[]", b""):
            await stranger.publish(seen[0], body)
        await settle()
        assert len(stage.outbox) == 1

    play(scene())


def test_waiting_for_a_record_ends_with_its_acknowledgement() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.broker.latency = 0.2
        await stage.start()
        began = now()
        assert await stage.outbox.store("records.new", "a", b"a", began + 1.0) is None
        assert now() - began == pytest.approx(0.2)

    play(scene())


def test_waiting_for_a_record_outlasts_a_stream_that_is_back_in_time() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.stream.refusal = FULL
        await stage.send(*"abc")
        await asyncio.sleep(30)  # pauses are long by now
        began = now()
        waiting = asyncio.ensure_future(
            stage.outbox.store("records.new", "awaited", b"awaited", began + 0.9)
        )
        await asyncio.sleep(0.5)
        stage.stream.refusal = None
        assert await waiting is None
        assert now() - began < 0.5 + 2 * AWAITED_PAUSE

    play(scene())


def test_what_is_not_stored_in_time_says_why_and_is_sent_no_more() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.stream.refusal = FULL
        began = now()
        problem = await stage.outbox.store("records.new", "a", b"a", began + 0.9)
        assert now() - began == pytest.approx(0.9)
        assert problem == (
            f"stream RECORDS did not acknowledge it within 900 ms; the last attempt: {FULL}"
        )
        stage.stream.refusal = None
        await asyncio.sleep(60)
        assert (stage.stored, len(stage.outbox)) == ([], 0)

    play(scene())


def test_one_that_is_withdrawn_leaves_the_others_to_be_sent_again() -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.broker.latency = 0.3
        stage.stream.refusal = FULL
        await stage.send("a")
        await stage.outbox.store("records.new", "b", b"b", now() + 1.5)
        stage.stream.refusal = None
        await asyncio.sleep(10)
        assert stage.stored == ["a"]

    play(scene())


def test_stopping_waits_for_what_is_on_its_way_and_no_longer() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.broker.latency = 0.3
        await stage.start()
        await stage.send("a")
        began = now()
        await stage.outbox.stop()
        assert stage.stored == ["a"]
        assert stage.counters["unrecorded"] == 0
        assert now() - began < STOP_WAIT

    play(scene())


def test_stopping_gives_up_what_the_stream_does_not_take(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        stage = Stage()
        await stage.start()
        stage.stream.refusal = FULL
        await stage.send("a", "b")
        began = now()
        await stage.outbox.stop()
        assert now() - began == pytest.approx(STOP_WAIT)
        assert stage.counters["unrecorded"] == 2

    play(scene())
    assert f"given_up stream=RECORDS messages=2: {FULL}" in caplog.text
