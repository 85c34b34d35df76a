"""What a flow test runs on: a broker in memory with virtual time, or the real nats-server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.keyvalue import KeyValue, NatsKeyValue
from hookbus.loop import run as run_loop
from hookbus.streams import NatsStreams, Streams
from hookbus.subjects import ANONYMOUS
from hookbus.testing import (
    MemoryBroker,
    MemoryKeyValue,
    MemoryStreams,
    MemoryTransport,
    run_virtual,
)
from hookbus.transport import NatsTransport, Transport
from tests.flow.proxy import Proxy

PATIENCE = 30.0  # seconds for one test
VIRTUAL_PATIENCE = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Equal to every number from *least* to *most*."""

    least: float
    most: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float | int) and self.least <= other <= self.most


class Engine(Protocol):
    """A broker and what connects to it."""

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Run one test to its end."""

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        """Connect; *denied* subjects only a broker in memory can refuse."""

    async def bucket(self, transport: Transport, name: str) -> KeyValue: ...

    def streams(self, transport: Transport) -> Streams: ...

    async def forget_stream(self, transport: Transport, name: str) -> None: ...

    def cut(self, transport: Transport) -> None:
        """Break one connection that was made with *can_cut*."""

    def mend(self, transport: Transport) -> None: ...

    def about(self, seconds: float) -> object:
        """What a measured duration must equal."""

    def told(self, milliseconds: int) -> object:
        """What a plugin must be told of a budget that has just begun."""

    @property
    def url(self) -> str:
        """Where processes of their own find the broker."""

    def kill(self) -> None:
        """Take the broker away from one moment to the next."""

    def revive(self) -> None:
        """Bring it back, on the same port and with what it had stored."""

    async def stop(self) -> None: ...


class MemoryEngine:
    """Everything in memory; times are exact."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(max_payload=8 * 1024 * 1024)

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        run_virtual(_within(VIRTUAL_PATIENCE, scenario))

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        return MemoryTransport(self.broker, principal=principal, denied=denied)

    async def bucket(self, transport: Transport, name: str) -> KeyValue:
        assert isinstance(transport, MemoryTransport)
        return MemoryKeyValue(self.broker, name, transport)

    def streams(self, transport: Transport) -> Streams:
        assert isinstance(transport, MemoryTransport)
        return MemoryStreams(self.broker, transport)

    async def forget_stream(self, transport: Transport, name: str) -> None:
        del self.broker.jetstream.streams[name]

    def cut(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.broker.disconnect(transport)

    def mend(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.broker.reconnect(transport)

    def about(self, seconds: float) -> object:
        return pytest.approx(seconds, abs=1e-6)

    def told(self, milliseconds: int) -> object:
        return milliseconds

    @property
    def url(self) -> str:
        raise NotImplementedError("no process finds a broker in memory")

    def kill(self) -> None:
        self.broker.disconnect()

    def revive(self) -> None:
        self.broker.reconnect()

    async def stop(self) -> None:
        pass


class NatsEngine:
    """A nats-server of its own for each test; times have a lower bound and a generous upper one."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self._proxies: dict[Transport, Proxy] = {}

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        run_loop(_within(PATIENCE, scenario))

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        assert not denied
        if not can_cut:
            return await NatsTransport.connect(self.broker.url, principal=principal)
        proxy = Proxy(self.broker.port)
        port = await proxy.start()
        url = f"nats://127.0.0.1:{port}"
        transport = await NatsTransport.connect(url, principal=principal)
        self._proxies[transport] = proxy
        return transport

    async def bucket(self, transport: Transport, name: str) -> KeyValue:
        assert isinstance(transport, NatsTransport)
        return await NatsKeyValue.open(transport, name, history=64)

    def streams(self, transport: Transport) -> Streams:
        assert isinstance(transport, NatsTransport)
        return NatsStreams(transport)

    async def forget_stream(self, transport: Transport, name: str) -> None:
        assert isinstance(transport, NatsTransport)
        await transport.jetstream.delete_stream(name)

    def cut(self, transport: Transport) -> None:
        self._proxies[transport].cut()

    def mend(self, transport: Transport) -> None:
        self._proxies[transport].mend()

    def about(self, seconds: float) -> object:
        return Between(seconds - 0.005, 5 * seconds + 0.5)

    def told(self, milliseconds: int) -> object:
        return Between(milliseconds - 500, milliseconds)

    @property
    def url(self) -> str:
        return self.broker.url

    def kill(self) -> None:
        os.kill(self.broker.pid, signal.SIGKILL)

    def revive(self) -> None:
        self.broker.restart()

    async def stop(self) -> None:
        for proxy in self._proxies.values():
            await proxy.stop()


async def _within(seconds: float, scenario: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(seconds):
        await scenario
