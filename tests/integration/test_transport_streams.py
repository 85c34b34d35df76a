"""What streams and their consumers do: in memory under virtual time, and over NATS."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.errors import (
    NoResponders,
    TransportError,
)
from hookbus.streams import ConsumerSpec, NatsStreams, StreamSpec
from hookbus.transport import NatsTransport, Transport
from tests.integration.worlds import AUDIT, ORDERS, SOON, Mailbox, World


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


def test_a_changed_consumer_keeps_its_place(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await observed(world, AUDIT)
        streams = world.streams(transport)
        await transport.request("orders.new", b"1", timeout=SOON)
        await transport.request((await mailbox.next()).reply, b"+ACK", timeout=SOON)
        before = await streams.place("ORDERS", "audit")

        changed = replace(AUDIT, ack_wait=7.0, max_deliver=2, more_filters=("orders.gone",))
        await streams.ensure_consumer(changed)
        await transport.request("orders.gone", b"2", timeout=SOON)

        after = await streams.place("ORDERS", "audit")
        assert before is not None
        assert after is not None
        assert await mailbox.take(1) == [b"2"]
        assert await streams.consumers("ORDERS") == [changed]
        assert (before.created, before.delivered) == (after.created, 1)

    world.run(scenario())


def test_a_consumer_made_anew_begins_where_it_is_told(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await observed(world, AUDIT)
        for body in (b"1", b"2", b"3"):
            await transport.request("orders.new", body, timeout=SOON)
            await transport.publish((await mailbox.next()).reply, b"+ACK")

        await world.streams(transport).restart_consumer(replace(AUDIT, start=2))

        assert await mailbox.take(2) == [b"2", b"3"]

    world.run(scenario())


def test_a_consumer_that_cannot_be_changed_goes_on_where_it_was(own_broker: EmbeddedBroker) -> None:
    """A stranger made one of that name that is read in another way."""

    async def scenario() -> None:
        transport = await NatsTransport.connect(own_broker.url)
        streams, mailbox = NatsStreams(transport), Mailbox()
        await streams.ensure_stream(ORDERS)
        for body in (b"1", b"2", b"3"):
            await transport.request("orders.new", body, timeout=SOON)
        theirs = await transport.jetstream.pull_subscribe("orders.new", "audit", stream="ORDERS")
        for message in await theirs.fetch(2):
            await message.ack_sync()
        await transport.subscribe(AUDIT.deliver_subject, mailbox, queue=AUDIT.deliver_group)

        await streams.ensure_consumer(AUDIT)

        assert await mailbox.take(1) == [b"3"]
        assert await streams.consumers("ORDERS") == [AUDIT]
        await transport.close()

    asyncio.run(scenario())


def test_messages_are_found_counted_and_removed(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        streams = world.streams(transport)
        await streams.ensure_stream(ORDERS)
        for subject in ("orders.new", "orders.gone", "orders.new"):
            await transport.request(subject, b"1", timeout=SOON)

        found = await streams.find("ORDERS", 2, "orders.new", "orders.lost")
        either = await streams.find("ORDERS", 2, "orders.new", "orders.gone")
        counts = [await streams.count("ORDERS", start, "orders.new") for start in (1, 2, 4)]
        await streams.delete("ORDERS", 1)
        await streams.delete("ORDERS", 1)

        assert found is not None
        assert either is not None
        assert (found.sequence, either.sequence) == (3, 2)
        assert counts == [2, 1, 0]
        extent = await streams.extent("ORDERS", "orders.>")
        assert (extent.first, extent.last) == (2, 3)
        assert extent.messages == {"orders.gone": 1, "orders.new": 1}
        assert await streams.place("ORDERS", "nobody") is None

    world.run(scenario())
