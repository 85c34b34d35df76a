"""Brokers in memory and over NATS, behind one face, and what tests of both use."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hookbus.broker import EmbeddedBroker
from hookbus.keyvalue import KeyValue, NatsKeyValue
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
Runner = Callable[[Coroutine[Any, Any, None]], None]

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


async def tasks_since(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """What runs that did not run *before*, once what was cancelled has ended."""
    for _ in range(5):
        await asyncio.sleep(0)
    deadline = time.monotonic() + SOON
    while True:
        left = asyncio.all_tasks() - before
        if time.monotonic() > deadline or not any(task.cancelling() for task in left):
            return left
        await asyncio.sleep(0.001)  # what was told to end may have an attempt to give up first


class Recorder:
    """As much of a NATS server as a connection needs; it notes the commands in their order."""

    def __init__(self, *, first_error: str = "") -> None:
        self.commands: list[str] = []
        self.ended = asyncio.Event()
        self.error = first_error  # told once, after the first flush

    def after(self, command: str) -> list[str]:
        return self.commands[self.commands.index(command) + 1 :]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1024, "headers": true}\r\n')
        while line := (await reader.readline()).decode().strip("\r\n"):
            self.commands.append(line)
            if line == "PING":
                writer.write(b"PONG\r\n")
                if self.error and self.commands.count("PING") == 3:
                    writer.write(f"-ERR '{self.error}'\r\n".encode())
        writer.close()
        await writer.wait_closed()
        self.ended.set()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
