"""What every transport does: in memory under virtual time, and over NATS."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.errors import (
    Disconnected,
    NoResponders,
    PayloadTooLarge,
    RequestTimeout,
    TransportError,
)
from hookbus.transport import Message
from tests.integration.worlds import PATIENCE, SOON, Mailbox, World, echo, outage, recovery


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
