"""What every transport, stream and bucket does: in memory under virtual time, and over NATS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.errors import (
    Disconnected,
    KeyConflict,
    NoResponders,
    PayloadTooLarge,
    RequestTimeout,
    TransportError,
)
from hookbus.keyvalue import Entry, KeyValue, NatsKeyValue
from hookbus.streams import ConsumerSpec, NatsStreams, Streams, StreamSpec
from hookbus.testing import (
    MemoryBroker,
    MemoryKeyValue,
    MemoryStreams,
    MemoryTransport,
    run_virtual,
)
from hookbus.transport import Message, NatsTransport, Transport

T = TypeVar("T")

PATIENCE = 20.0  # seconds for a whole scenario on the real broker
SOON = 10.0  # seconds for one message
ORDERS = StreamSpec("ORDERS", "orders.>", max_age=60, max_bytes=1024 * 1024)
AUDIT = ConsumerSpec("ORDERS", "audit", "orders.new", "call.audit", "audit", ack_wait=0.3)


class World(Protocol):
    """A broker to connect to, and a loop to do it on."""

    def run(self, scenario: Coroutine[Any, Any, T]) -> T: ...
    async def connect(self) -> Transport: ...
    def streams(self, transport: Transport) -> Streams: ...
    async def bucket(self, transport: Transport) -> KeyValue: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.broker = MemoryBroker()

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return run_virtual(scenario)

    async def connect(self) -> Transport:
        return MemoryTransport(self.broker)

    def streams(self, transport: Transport) -> Streams:
        return MemoryStreams(self.broker)

    async def bucket(self, transport: Transport) -> KeyValue:
        return MemoryKeyValue(self.broker, "things")

    def kill(self) -> None:
        self.broker.disconnect()

    def restart(self) -> None:
        self.broker.reconnect()


class NatsWorld:
    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self.connections: list[NatsTransport] = []

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(self._run(scenario))

    async def _run(self, scenario: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE):
                return await scenario
        finally:
            for connection in self.connections:
                await connection.close()

    async def connect(self) -> Transport:
        self.connections.append(await NatsTransport.connect(self.broker.url))
        return self.connections[-1]

    def streams(self, transport: Transport) -> Streams:
        assert isinstance(transport, NatsTransport)
        return NatsStreams(transport)

    async def bucket(self, transport: Transport) -> KeyValue:
        assert isinstance(transport, NatsTransport)
        return await NatsKeyValue.open(transport, "things")

    def kill(self) -> None:
        os.kill(self.broker.pid, signal.SIGKILL)

    def restart(self) -> None:
        self.broker.restart()


@pytest.fixture(params=["memory", "nats"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    return NatsWorld(request.getfixturevalue("own_broker"))


class Mailbox:
    """What a subscription or a watch was called with."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, item: object) -> None:
        self.queue.put_nowait(item)

    async def next(self) -> Any:
        async with asyncio.timeout(SOON):
            return await self.queue.get()

    async def take(self, count: int) -> list[bytes]:
        return [(await self.next()).data for _ in range(count)]


async def echo(transport: Transport, subject: str, *, prefix: bytes = b"") -> None:
    """Answer every request on *subject* with its own body."""
    answers: set[asyncio.Task[None]] = set()

    def answer(message: Message) -> None:
        task = asyncio.ensure_future(transport.publish(message.reply, prefix + message.data))
        answers.add(task)
        task.add_done_callback(answers.discard)

    await transport.subscribe(subject, answer)
    await transport.flush()


async def outage(world: World, transport: Transport) -> None:
    """Kill the broker and wait until *transport* has noticed."""
    lost = asyncio.Event()
    transport.on_disconnect(lost.set)
    world.kill()
    async with asyncio.timeout(SOON):
        await lost.wait()


async def recovery(world: World, transport: Transport) -> None:
    """Start the broker again and wait until *transport* is back."""
    back = asyncio.Event()
    transport.on_reconnect(back.set)
    world.restart()
    async with asyncio.timeout(SOON):
        await back.wait()


def test_a_message_reaches_each_subscriber_and_one_of_each_queue_group(world: World) -> None:
    async def scenario() -> None:
        sender, receiver = await world.connect(), await world.connect()
        alone, group = Mailbox(), Mailbox()
        await receiver.subscribe("a.*", alone)
        await receiver.subscribe("a.>", alone)
        await receiver.subscribe("a.b", group, queue="g")
        await receiver.subscribe("a.b", group, queue="g")
        await receiver.flush()

        await sender.publish("a.b", b"1")
        await sender.publish("a.b", b"2")

        assert sorted(await alone.take(4)) == [b"1", b"1", b"2", b"2"]
        assert sorted(await group.take(2)) == [b"1", b"2"]
        assert group.queue.empty()

    world.run(scenario())


def test_messages_of_one_connection_arrive_in_the_order_of_publishing(world: World) -> None:
    async def scenario() -> None:
        sender, receiver = await world.connect(), await world.connect()
        mailbox = Mailbox()
        await receiver.subscribe("a", mailbox)
        await receiver.flush()

        for number in range(100):
            await sender.publish("a", b"%d" % number)

        assert await mailbox.take(100) == [b"%d" % number for number in range(100)]

    world.run(scenario())


def test_a_message_arrives_with_subject_reply_and_headers(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        await transport.subscribe("a", mailbox)

        await transport.publish("a", b"x", reply="b.C", headers={"Two-Words": "é: y"})
        await transport.publish("a", b"")

        first, second = await mailbox.next(), await mailbox.next()
        assert (first.subject, first.data, first.reply) == ("a", b"x", "b.C")
        assert first.headers == {"Two-Words": "é: y"}
        assert (second.data, second.reply, second.headers) == (b"", "", None)

    world.run(scenario())


def test_a_request_returns_the_answer_to_it(world: World) -> None:
    async def scenario() -> None:
        asking, answering = await world.connect(), await world.connect()
        await echo(answering, "echo")

        answers = await asyncio.gather(
            *(asking.request("echo", b"%d" % number, timeout=SOON) for number in range(20))
        )

        assert [answer.data for answer in answers] == [b"%d" % number for number in range(20)]

    world.run(scenario())


def test_a_request_that_nobody_takes_fails_at_once(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()

        with pytest.raises(NoResponders, match=r"nothing is subscribed to 'nobody'"):
            await transport.request("nobody", b"", timeout=SOON)

    world.run(scenario())


def test_an_own_reply_subject_hears_that_nobody_takes_a_message(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        await transport.subscribe("answers.*", mailbox)

        await transport.publish("nobody", b"x", reply="answers.p1")

        message = await mailbox.next()
        assert (message.subject, message.data) == ("answers.p1", b"")
        assert message.headers["Status"] == "503"

    world.run(scenario())


def test_a_request_without_an_answer_times_out_and_the_next_gets_its_own(world: World) -> None:
    async def scenario() -> None:
        asking, answering, held = await world.connect(), await world.connect(), Mailbox()
        await answering.subscribe("slow", held)
        await echo(answering, "echo")

        with pytest.raises(RequestTimeout, match=r"no reply on 'slow' within 0.1 s"):
            await asking.request("slow", b"", timeout=0.1)
        await answering.publish((await held.next()).reply, b"late")

        assert (await asking.request("echo", b"mine", timeout=SOON)).data == b"mine"

    world.run(scenario())


def test_request_many_returns_all_answers_of_the_window(world: World) -> None:
    async def scenario() -> None:
        asking, answering = await world.connect(), await world.connect()
        await echo(answering, "who", prefix=b"a")
        await echo(answering, "who", prefix=b"b")

        answers = await asking.request_many("who", b"?", window=0.5)

        assert sorted(answer.data for answer in answers) == [b"a?", b"b?"]
        assert await asking.request_many("nobody", b"?", window=PATIENCE * 2) == []

    world.run(scenario())


def test_a_message_above_max_payload_is_refused_with_both_numbers(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        largest = transport.max_payload
        await transport.subscribe("a", mailbox)

        with pytest.raises(PayloadTooLarge) as refused:
            await transport.publish("a", bytes(largest + 1))
        with pytest.raises(PayloadTooLarge):
            await transport.request("a", bytes(largest), headers={"a": "b"}, timeout=SOON)
        await transport.publish("a", bytes(largest))

        assert (refused.value.size, refused.value.max_payload) == (largest + 1, largest)
        assert len((await mailbox.next()).data) == largest

    world.run(scenario())


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("a", {"key": "one\r\nPUB b 0"}),
        ("a", {"key": "one\ntwo"}),
        ("a", {"key": "nul\0"}),
        ("a", {"two words": "x"}),
        ("a", {"key:": "x"}),
        ("", None),
        ("a b", None),
        ("a\r\nPUB b 0", None),
    ],
)
def test_what_would_forge_a_line_is_refused(
    world: World, subject: str, headers: dict[str, str] | None
) -> None:
    async def scenario() -> None:
        transport = await world.connect()

        with pytest.raises(TransportError):
            await transport.publish(subject, b"", headers=headers)
        with pytest.raises(TransportError):
            await transport.request(subject, b"", headers=headers, timeout=SOON)

    world.run(scenario())


@pytest.mark.parametrize("subject", ["", "a..b", "a.>.b", "a*", "a b", "a\r\n"])
def test_a_subject_that_cannot_be_subscribed_to_is_refused(world: World, subject: str) -> None:
    async def scenario() -> None:
        transport = await world.connect()

        with pytest.raises(TransportError):
            await transport.subscribe(subject, Mailbox())

    world.run(scenario())


def test_a_drained_subscription_has_handed_over_what_had_arrived_and_takes_no_more(
    world: World,
) -> None:
    async def scenario() -> None:
        sender, receiver, mailbox = await world.connect(), await world.connect(), Mailbox()
        subscription = await receiver.subscribe("a", mailbox)
        await receiver.flush()
        for _ in range(500):
            await sender.publish("a", b"x")
        await sender.flush()

        await subscription.drain()

        assert mailbox.queue.qsize() == 500
        with pytest.raises(NoResponders):
            await sender.request("a", b"", timeout=SOON)
        await subscription.drain()

    world.run(scenario())


def test_a_failing_callback_does_not_end_its_subscription(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()

        def fail_first(message: Message) -> None:
            mailbox(message)
            if message.data == b"1":
                raise ValueError("the callback's own")

        await transport.subscribe("a", fail_first)

        await transport.publish("a", b"1")
        await transport.publish("a", b"2")

        assert await mailbox.take(2) == [b"1", b"2"]

    world.run(scenario())


def test_a_lost_connection_fails_what_waits_and_what_comes(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        await transport.subscribe("slow", Mailbox())
        asked = asyncio.ensure_future(transport.request("slow", b"", timeout=PATIENCE * 2))
        collected = asyncio.ensure_future(transport.request_many("slow", b"", window=PATIENCE * 2))
        await transport.flush()

        await outage(world, transport)

        with pytest.raises(Disconnected, match="lost"):
            await asked
        with pytest.raises(Disconnected, match="lost"):
            await collected
        assert not transport.is_connected
        for refused in (
            transport.publish("a", b""),
            transport.request("a", b"", timeout=SOON),
            transport.request_many("a", b"", window=SOON),
            transport.flush(),
        ):
            with pytest.raises(Disconnected, match="down"):
                await refused

    world.run(scenario())


def test_subscriptions_are_back_after_a_reconnect_and_nothing_stale_is_sent(world: World) -> None:
    async def scenario() -> None:
        sender, receiver, mailbox = await world.connect(), await world.connect(), Mailbox()
        await receiver.subscribe("a", mailbox)
        await receiver.flush()
        await outage(world, sender)
        with pytest.raises(Disconnected):
            await sender.publish("a", b"stale")

        back = asyncio.Event()
        receiver.on_reconnect(back.set)
        await recovery(world, sender)
        async with asyncio.timeout(SOON):
            await back.wait()
        await sender.publish("a", b"fresh")

        assert await mailbox.take(1) == [b"fresh"]
        await receiver.flush()
        assert mailbox.queue.empty()

    world.run(scenario())


def test_a_subscription_can_be_drained_while_the_broker_is_away(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        subscription = await transport.subscribe("a", mailbox)
        await transport.flush()
        await outage(world, transport)

        await subscription.drain()

        await recovery(world, transport)
        with pytest.raises(NoResponders):
            await transport.request("a", b"", timeout=SOON)

    world.run(scenario())


def test_closing_sends_what_was_published_and_ends_what_waits(world: World) -> None:
    async def scenario() -> None:
        sender, receiver, mailbox = await world.connect(), await world.connect(), Mailbox()
        await receiver.subscribe("a", mailbox)
        await receiver.flush()
        asked = asyncio.ensure_future(sender.request("a", b"1", timeout=PATIENCE * 2))
        await mailbox.next()

        await sender.publish("a", b"2")
        await sender.close()
        await sender.close()

        assert await mailbox.take(1) == [b"2"]
        assert not sender.is_connected
        with pytest.raises(Disconnected, match="closed"):
            await asked
        with pytest.raises(Disconnected, match="closed"):
            await sender.publish("a", b"3")
        with pytest.raises(Disconnected, match="closed"):
            await sender.subscribe("a", mailbox)

    world.run(scenario())


def test_closing_is_no_disconnect(world: World) -> None:
    async def scenario() -> None:
        transport, lost = await world.connect(), Mailbox()
        transport.on_disconnect(lambda: lost("disconnected"))

        await transport.close()

        assert lost.queue.empty()

    world.run(scenario())


def test_a_stream_acknowledges_what_it_stores_and_knows_a_repetition(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        await world.streams(transport).ensure_stream(ORDERS)

        first = await transport.request("orders.new", b"1", timeout=SOON)
        once = await transport.request(
            "orders.new", b"2", headers={"Nats-Msg-Id": "2"}, timeout=SOON
        )
        again = await transport.request(
            "orders.new", b"2", headers={"Nats-Msg-Id": "2"}, timeout=SOON
        )

        assert json.loads(first.data) == {"stream": "ORDERS", "seq": 1}
        assert json.loads(once.data) == {"stream": "ORDERS", "seq": 2}
        assert json.loads(again.data) == {"stream": "ORDERS", "seq": 2, "duplicate": True}

    world.run(scenario())


def test_a_stored_message_can_be_read_again(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        streams = world.streams(transport)
        await streams.ensure_stream(ORDERS)
        await transport.request("orders.new", b"1", headers={"A": "b"}, timeout=SOON)

        stored = await streams.read("ORDERS", 1)

        assert stored is not None
        assert (stored.subject, stored.data, stored.headers) == ("orders.new", b"1", {"A": "b"})
        assert await streams.read("ORDERS", 2) is None
        with pytest.raises(TransportError, match="stream 'OTHER': stream not found"):
            await streams.read("OTHER", 1)

    world.run(scenario())


def test_a_stream_is_changed_when_its_specification_is(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        streams = world.streams(transport)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_stream(ORDERS)

        await streams.ensure_stream(StreamSpec("ORDERS", "sales.>", max_age=30, max_bytes=2048))

        answer = await transport.request("sales.new", b"1", timeout=SOON)
        assert json.loads(answer.data) == {"stream": "ORDERS", "seq": 1}
        with pytest.raises(NoResponders):
            await transport.request("orders.new", b"1", timeout=SOON)

    world.run(scenario())


async def observed(world: World, spec: ConsumerSpec) -> tuple[Transport, Mailbox]:
    """Connect, make the stream and the consumer *spec*, and listen as its group does."""
    transport, mailbox = await world.connect(), Mailbox()
    streams = world.streams(transport)
    await streams.ensure_stream(ORDERS)
    await streams.ensure_consumer(spec)
    await transport.subscribe(spec.deliver_subject, mailbox, queue=spec.deliver_group)
    await transport.flush()
    return transport, mailbox


def test_a_consumer_starts_now_and_delivers_only_what_its_filter_matches(world: World) -> None:
    async def scenario() -> None:
        early = await world.connect()
        await world.streams(early).ensure_stream(ORDERS)
        await early.request("orders.new", b"before", timeout=SOON)
        transport, mailbox = await observed(world, AUDIT)

        await transport.publish("orders.gone", b"other")
        await transport.publish("orders.new", b"mine", headers={"A": "b"})

        message = await mailbox.next()
        assert (message.subject, message.data) == ("orders.new", b"mine")
        assert message.headers == {"A": "b"}
        assert message.reply.startswith("$JS.ACK.ORDERS.audit.1.3.1.")

    world.run(scenario())


@pytest.mark.parametrize("acknowledgement", [b"", b"+ACK"])
def test_what_is_not_acknowledged_is_delivered_again(world: World, acknowledgement: bytes) -> None:
    async def scenario() -> None:
        transport, mailbox = await observed(world, AUDIT)

        await transport.publish("orders.new", b"1")
        await transport.publish((await mailbox.next()).reply, acknowledgement)
        await transport.publish("orders.new", b"2")
        await transport.publish((await mailbox.next()).reply, b"something else")

        again = await mailbox.next()
        assert again.data == b"2"
        assert again.reply.startswith("$JS.ACK.ORDERS.audit.2.2.3.")

    world.run(scenario())


def test_a_refused_message_is_delivered_again_after_the_delay_it_asks_for(world: World) -> None:
    async def scenario() -> None:
        slow = ConsumerSpec("ORDERS", "audit", "orders.new", "call.audit", "audit", ack_wait=60)
        transport, mailbox = await observed(world, slow)
        loop = asyncio.get_running_loop()
        await transport.publish("orders.new", b"1")
        await transport.publish((await mailbox.next()).reply, b"-NAK")

        second = await mailbox.next()
        started = loop.time()
        await transport.publish(second.reply, b'-NAK {"delay": 200000000}')
        third = await mailbox.next()

        assert third.data == b"1"
        assert 0.19 <= loop.time() - started < SOON

    world.run(scenario())


def test_the_last_delivery_and_a_dead_letter_are_announced(world: World) -> None:
    async def scenario() -> None:
        twice = ConsumerSpec(
            "ORDERS", "audit", "orders.new", "call.audit", "audit", ack_wait=0.1, max_deliver=2
        )
        transport, mailbox = await observed(world, twice)
        advisories = Mailbox()
        await transport.subscribe("$JS.EVENT.ADVISORY.CONSUMER.>", advisories)

        await transport.publish("orders.new", b"poison")
        await mailbox.take(2)
        exhausted = await advisories.next()
        await transport.publish("orders.new", b"broken")
        await transport.publish((await mailbox.next()).reply, b"+TERM no such field")
        terminated = await advisories.next()

        prefix = "$JS.EVENT.ADVISORY.CONSUMER"
        assert exhausted.subject == f"{prefix}.MAX_DELIVERIES.ORDERS.audit"
        assert {
            "stream": "ORDERS",
            "consumer": "audit",
            "stream_seq": 1,
            "deliveries": 2,
        }.items() <= json.loads(exhausted.data).items()
        assert terminated.subject == f"{prefix}.MSG_TERMINATED.ORDERS.audit"
        assert {"stream_seq": 2, "deliveries": 1, "reason": "no such field"}.items() <= json.loads(
            terminated.data
        ).items()

    world.run(scenario())


def test_messages_wait_until_somebody_of_the_group_is_there(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        streams = world.streams(transport)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_consumer(AUDIT)
        await transport.request("orders.new", b"1", timeout=SOON)

        await transport.subscribe("call.audit", mailbox, queue="audit")

        assert await mailbox.take(1) == [b"1"]

    world.run(scenario())


def test_consumers_are_listed_changed_and_removed(world: World) -> None:
    async def scenario() -> None:
        transport, _ = await observed(world, AUDIT)
        streams = world.streams(transport)
        changed = ConsumerSpec("ORDERS", "audit", "orders.gone", "call.other", "others")
        await streams.ensure_consumer(AUDIT)
        before = await streams.consumers("ORDERS")

        await streams.ensure_consumer(changed)
        after = await streams.consumers("ORDERS")
        await streams.delete_consumer("ORDERS", "audit")
        await streams.delete_consumer("ORDERS", "audit")

        assert before == [AUDIT]
        assert after == [changed]
        assert await streams.consumers("ORDERS") == []

    world.run(scenario())


def test_a_consumer_of_no_stream_is_refused_with_the_streams_name(world: World) -> None:
    async def scenario() -> None:
        streams = world.streams(await world.connect())

        with pytest.raises(TransportError, match="stream 'ORDERS': stream not found"):
            await streams.ensure_consumer(AUDIT)
        with pytest.raises(TransportError, match="stream 'ORDERS': stream not found"):
            await streams.consumers("ORDERS")

    world.run(scenario())


def test_a_key_has_versions_and_only_the_newest_can_be_updated(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())

        first = await bucket.put("k", b"1")
        second = await bucket.update("k", b"2", first)

        assert (first, second) == (1, 2)
        assert await bucket.get("k") == Entry(b"2", 2)
        with pytest.raises(KeyConflict, match="bucket 'things': key 'k': expected revision 1"):
            await bucket.update("k", b"3", first)
        with pytest.raises(KeyConflict, match="expected no value yet"):
            await bucket.update("k", b"3", 0)
        assert await bucket.get("k") == Entry(b"2", 2)

    world.run(scenario())


def test_a_deleted_key_is_gone_and_can_be_made_again(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        created = await bucket.update("k", b"1", 0)
        await bucket.put("other", b"")

        await bucket.delete("k")

        assert await bucket.get("k") is None
        assert await bucket.keys() == ["other"]
        with pytest.raises(KeyConflict):
            await bucket.update("k", b"2", created)
        assert await bucket.update("k", b"2", 0) == 4
        assert await bucket.keys() == ["k", "other"]

    world.run(scenario())


def test_a_missing_key_is_none_and_an_empty_value_is_a_value(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        await bucket.put("empty", b"")

        assert await bucket.get("missing") is None
        assert await bucket.get("empty") == Entry(b"", 1)
        assert await bucket.keys() == ["empty"]

    world.run(scenario())


@pytest.mark.parametrize("key", ["", "a b", "a*", ">", ".a", "a..b", "a\n"])
def test_what_cannot_name_a_key_is_refused(world: World, key: str) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())

        for refused in (
            bucket.get(key),
            bucket.put(key, b""),
            bucket.update(key, b"", 0),
            bucket.delete(key),
            bucket.watch(key, Mailbox()),
        ):
            with pytest.raises(TransportError, match="expected a key"):
                await refused

    world.run(scenario())


def test_a_value_above_max_payload_is_refused(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        bucket = await world.bucket(transport)

        with pytest.raises(PayloadTooLarge):
            await bucket.put("k", bytes(transport.max_payload))
        with pytest.raises(PayloadTooLarge):
            await bucket.update("k", bytes(transport.max_payload), 0)

    world.run(scenario())


def test_a_watch_gives_the_version_there_is_and_each_later_one(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        mailbox = Mailbox()
        await bucket.put("k", b"0")
        await bucket.put("k", b"1")

        watch = await bucket.watch("k", mailbox)
        assert mailbox.queue.get_nowait() == Entry(b"1", 2)
        await bucket.put("other", b"x")
        await bucket.put("k", b"2")
        await bucket.delete("k")
        await bucket.put("k", b"3")
        later = [await mailbox.next(), await mailbox.next()]
        await watch.stop()
        await bucket.put("k", b"4")
        await watch.stop()

        assert later == [Entry(b"2", 4), Entry(b"3", 6)]
        assert mailbox.queue.empty()

    world.run(scenario())


def test_a_failing_callback_does_not_end_its_watch(world: World) -> None:
    async def scenario() -> None:
        bucket, mailbox = await world.bucket(await world.connect()), Mailbox()

        def fail(entry: Entry) -> None:
            mailbox(entry)
            raise ValueError("the callback's own")

        await bucket.watch("k", fail)

        await bucket.put("k", b"1")
        await bucket.put("k", b"2")

        assert [await mailbox.next(), await mailbox.next()] == [Entry(b"1", 1), Entry(b"2", 2)]

    world.run(scenario())


def test_a_watch_gives_what_was_written_while_its_connection_was_away(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        bucket = await world.bucket(transport)
        await bucket.put("k", b"1")
        await bucket.watch("k", mailbox)
        assert await mailbox.next() == Entry(b"1", 1)

        for number in (2, 3):
            await outage(world, transport)
            world.restart()
            other = await world.bucket(await world.connect())  # it is there before the watcher
            await other.put("k", b"%d" % number)

            assert await mailbox.next() == Entry(b"%d" % number, number)

    world.run(scenario())


def test_a_version_that_was_seen_is_not_given_again_after_a_reconnect(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        bucket = await world.bucket(transport)
        await bucket.put("k", b"1")
        await bucket.watch("k", mailbox)
        await mailbox.next()

        await outage(world, transport)
        await recovery(world, transport)
        await bucket.put("k", b"2")

        assert await mailbox.next() == Entry(b"2", 2)

    world.run(scenario())


def test_without_a_connection_streams_and_buckets_say_so(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        bucket, streams = await world.bucket(transport), world.streams(transport)

        await outage(world, transport)

        for refused in (
            bucket.get("k"),
            bucket.keys(),
            bucket.put("k", b""),
            bucket.update("k", b"", 0),
            bucket.delete("k"),
            bucket.watch("k", Mailbox()),
            streams.ensure_stream(ORDERS),
            streams.ensure_consumer(AUDIT),
            streams.consumers("ORDERS"),
            streams.delete_consumer("ORDERS", "audit"),
            streams.read("ORDERS", 1),
        ):
            with pytest.raises(Disconnected):
                await refused

    world.run(scenario())
