"""Asking who is there, when not everybody answers sense."""

from __future__ import annotations

import asyncio

import pytest

from hookbus import presence
from hookbus.message import Message
from hookbus.testing import MemoryBroker, MemoryTransport, run_virtual


async def ask_among(*answers: bytes) -> list[str]:
    broker = MemoryBroker()
    asking, answering = MemoryTransport(broker), MemoryTransport(broker)
    tasks: list[asyncio.Task[None]] = []

    def on_ping(message: Message) -> None:
        sent = (answering.publish(message.reply, answer) for answer in answers)
        tasks.extend(map(asyncio.ensure_future, sent))

    if answers:
        await answering.subscribe("$SRV.PING.a", on_ping)
    return [found["id"] for found in await presence.ask(asking, "PING", "a")]


@pytest.mark.parametrize("garbage", [b"", b"no json", b"[]", b"{}", b'{"id":5}', b'"\xff"'])
def test_an_answer_that_makes_no_sense_hides_nobody_else(garbage: bytes) -> None:
    assert run_virtual(ask_among(garbage, b'{"id":"one"}')) == ["one"]


def test_nobody_there_is_an_empty_list_at_once() -> None:
    async def scenario() -> float:
        await ask_among()
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == 0
