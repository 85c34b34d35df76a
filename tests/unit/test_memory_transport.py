"""What the broker in memory has alone; the rest is in integration/test_transports."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.errors import Disconnected, PayloadTooLarge, PublishDenied, RequestTimeout
from hookbus.testing import MemoryBroker, MemoryTransport, run_virtual
from hookbus.transport import Message, MessageCallback


class Taken:
    """Notes who took which message."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def by(self, name: str) -> MessageCallback:
        return lambda message: self.notes.append((message.subject, name))


def test_the_members_of_a_group_take_turns() -> None:
    async def scenario() -> list[str]:
        broker, taken = MemoryBroker(), Taken()
        for name in ("first", "second", "third"):
            member = MemoryTransport(broker)
            await member.subscribe("a", taken.by(name), queue="g")

        for _ in range(4):
            await member.publish("a", b"")
        await member.flush()
        return [name for _, name in taken.notes]

    assert run_virtual(scenario()) == ["first", "second", "third", "first"]


def test_the_turns_on_one_subject_do_not_move_those_on_another() -> None:
    async def scenario() -> list[tuple[str, str]]:
        broker, taken = MemoryBroker(), Taken()
        for name in ("first", "second"):
            member = MemoryTransport(broker)
            await member.subscribe("a", taken.by(name), queue="g")
            await member.subscribe("b", taken.by(name), queue="g")

        for subject in ("a", "b", "a", "b"):
            await member.publish(subject, b"")
        await member.flush()
        return taken.notes

    assert run_virtual(scenario()) == [
        ("a", "first"),
        ("b", "first"),
        ("a", "second"),
        ("b", "second"),
    ]


def test_a_callback_is_never_called_inside_a_publish() -> None:
    async def scenario() -> list[str]:
        transport, seen = MemoryTransport(MemoryBroker()), []
        await transport.subscribe("a", lambda _: seen.append("received"))

        await transport.publish("a", b"")
        seen.append("published")
        await transport.flush()
        return seen

    assert run_virtual(scenario()) == ["published", "received"]


def test_messages_take_the_latency_and_keep_their_order() -> None:
    async def scenario() -> list[tuple[bytes, float]]:
        loop, received = asyncio.get_running_loop(), []
        transport = MemoryTransport(MemoryBroker(latency=0.5))
        await transport.subscribe("a", lambda m: received.append((m.data, loop.time())))

        for number in range(20):
            await transport.publish("a", b"%d" % number)
        await transport.flush()
        return received

    assert run_virtual(scenario()) == [(b"%d" % number, 0.5) for number in range(20)]


def test_a_request_times_out_exactly() -> None:
    async def scenario() -> float:
        transport = MemoryTransport(MemoryBroker())
        await transport.subscribe("slow", lambda _: None)
        with pytest.raises(RequestTimeout):
            await transport.request("slow", b"", timeout=0.2)
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 0.2


def test_one_connection_can_be_cut_while_the_others_live() -> None:
    async def scenario() -> list[bytes]:
        broker = MemoryBroker()
        cut, living, received = MemoryTransport(broker), MemoryTransport(broker), []
        await cut.subscribe("a", lambda m: received.append(m.data))
        await living.publish("a", b"on its way")

        broker.disconnect(cut)
        await living.publish("a", b"while cut")
        broker.reconnect(cut)
        await living.publish("a", b"after")

        await living.flush()
        return received

    assert run_virtual(scenario()) == [b"after"]


def test_disconnects_and_reconnects_are_told_once_each() -> None:
    async def scenario() -> list[str]:
        broker, told = MemoryBroker(), []
        transport = MemoryTransport(broker)
        transport.on_disconnect(lambda: told.append("lost"))
        transport.on_reconnect(lambda: told.append("back"))

        broker.disconnect()
        broker.disconnect(transport)
        broker.reconnect(transport)
        broker.reconnect()
        return told

    assert run_virtual(scenario()) == ["lost", "back"]


def test_a_connection_to_a_broker_that_is_down_is_down() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        broker.disconnect()
        transport = MemoryTransport(broker)

        with pytest.raises(Disconnected):
            await transport.publish("a", b"")

    run_virtual(scenario())


def test_what_is_denied_is_told_and_reaches_nobody() -> None:
    async def scenario() -> tuple[list[str], list[bytes]]:
        transport = MemoryTransport(MemoryBroker(), denied=["secret.>"])
        denied: list[str] = []
        received: list[bytes] = []
        transport.on_denied(denied.append)
        await transport.subscribe(">", lambda m: received.append(m.data))

        await transport.publish("secret.Plan", b"x")
        with pytest.raises(PublishDenied, match=r"'secret.asked'"):
            await transport.request("secret.asked", b"x", timeout=5.0)
        return denied, received

    assert run_virtual(scenario()) == (["secret.Plan", "secret.asked"], [])


def test_the_limit_of_a_message_is_the_brokers() -> None:
    async def scenario() -> None:
        transport = MemoryTransport(MemoryBroker(max_payload=10))

        with pytest.raises(
            PayloadTooLarge, match="message of 11 bytes, the broker takes at most 10"
        ):
            await transport.publish("a", bytes(11))

    run_virtual(scenario())


def test_a_received_message_does_not_change_with_what_the_sender_keeps() -> None:
    async def scenario() -> list[Message]:
        transport = MemoryTransport(MemoryBroker())
        received: list[Message] = []
        await transport.subscribe("a", received.append)
        headers = {"A": "before"}

        await transport.publish("a", b"x", headers=headers)
        headers["A"] = "after"
        await transport.flush()
        return received

    assert [message.headers for message in run_virtual(scenario())] == [{"A": "before"}]
