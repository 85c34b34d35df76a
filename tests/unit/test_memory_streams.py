"""Exact times of the streams in memory; the rest is in integration/test_transports."""

from __future__ import annotations

import asyncio

from hookbus.streams import ConsumerSpec, StreamSpec
from hookbus.testing import MemoryBroker, MemoryStreams, MemoryTransport, run_virtual
from hookbus.transport import Message

ORDERS = StreamSpec("ORDERS", "orders.>", max_age=60, max_bytes=1024)
AUDIT = ConsumerSpec(
    "ORDERS", "audit", "orders.*", "call.audit", "audit", ack_wait=30, max_deliver=3
)


class Observer:
    """Notes when it was asked, and answers with the next of *acknowledgements*, or not at all."""

    def __init__(self, transport: MemoryTransport, *acknowledgements: bytes) -> None:
        self.transport = transport
        self.acknowledgements = list(acknowledgements)
        self.times: list[float] = []
        self.answering: list[asyncio.Task[None]] = []

    def __call__(self, message: Message) -> None:
        self.times.append(asyncio.get_running_loop().time())
        if self.acknowledgements:
            body = self.acknowledgements.pop(0)
            answer = self.transport.publish(message.reply, body)
            self.answering.append(asyncio.ensure_future(answer))


def delivery_times(*acknowledgements: bytes) -> list[float]:
    """Publish one message at 0 s; return when it was delivered within ten minutes."""

    async def scenario() -> list[float]:
        broker = MemoryBroker()
        transport, streams = MemoryTransport(broker), MemoryStreams(broker)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_consumer(AUDIT)
        observer = Observer(transport, *acknowledgements)
        await transport.subscribe("call.audit", observer, queue="audit")

        await transport.publish("orders.new", b"")
        await asyncio.sleep(600)
        return observer.times

    return run_virtual(scenario())


def test_a_message_that_is_never_acknowledged_is_delivered_max_deliver_times() -> None:
    assert delivery_times() == [0.0, 30.0, 60.0]


def test_an_acknowledged_message_is_delivered_once() -> None:
    assert delivery_times(b"+ACK") == [0.0]
    assert delivery_times(b"") == [0.0]


def test_a_refusal_redelivers_at_once_or_after_its_delay() -> None:
    assert delivery_times(b"-NAK", b'-NAK {"delay": 5000000000}', b"+ACK") == [0.0, 0.0, 5.0]


def test_a_terminated_message_is_not_delivered_again() -> None:
    assert delivery_times(b"+TERM broken") == [0.0]


def test_a_sign_of_progress_starts_the_wait_anew() -> None:
    async def scenario() -> list[float]:
        broker = MemoryBroker()
        transport, streams = MemoryTransport(broker), MemoryStreams(broker)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_consumer(AUDIT)
        loop, messages, times = asyncio.get_running_loop(), [], []

        def note(message: Message) -> None:
            messages.append(message)
            times.append(loop.time())

        await transport.subscribe("call.audit", note, queue="audit")
        await transport.publish("orders.new", b"")
        await asyncio.sleep(20)
        await transport.publish(messages[0].reply, b"+WPI")
        await asyncio.sleep(40)
        return times

    assert run_virtual(scenario()) == [0.0, 50.0]


def test_replicas_share_the_messages_and_one_that_left_gets_none() -> None:
    async def scenario() -> tuple[int, int]:
        broker = MemoryBroker()
        streams = MemoryStreams(broker)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_consumer(AUDIT)
        left, right = MemoryTransport(broker), MemoryTransport(broker)
        of_left = Observer(left, b"", b"")
        of_right = Observer(right, b"", b"", b"", b"")
        await left.subscribe("call.audit", of_left, queue="audit")
        await right.subscribe("call.audit", of_right, queue="audit")

        for _ in range(4):
            await right.publish("orders.new", b"")
        await asyncio.sleep(1)
        await left.close()
        for _ in range(2):
            await right.publish("orders.new", b"")
        await asyncio.sleep(1)
        return len(of_left.times), len(of_right.times)

    assert run_virtual(scenario()) == (2, 4)


def test_what_was_due_while_nobody_was_there_is_delivered_at_the_reconnect() -> None:
    async def scenario() -> list[float]:
        broker = MemoryBroker()
        sender, receiver = MemoryTransport(broker), MemoryTransport(broker)
        streams = MemoryStreams(broker)
        await streams.ensure_stream(ORDERS)
        await streams.ensure_consumer(AUDIT)
        observer = Observer(receiver, b"")
        await receiver.subscribe("call.audit", observer, queue="audit")
        broker.disconnect(receiver)

        await sender.publish("orders.new", b"")
        await asyncio.sleep(7)
        broker.reconnect(receiver)
        await asyncio.sleep(60)
        return observer.times

    assert run_virtual(scenario()) == [7.0]
