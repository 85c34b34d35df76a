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
from hookbus.loop import run as run_loop
from hookbus.subjects import ANONYMOUS
from hookbus.testing import run_virtual
from hookbus.testing.backends import Backend, MemoryBackend, NatsBackend
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


class Engine(Backend, Protocol):
    """A broker, what connects to it, and what can happen to both."""

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Run one test to its end."""

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


class MemoryEngine(MemoryBackend):
    """Everything in memory; times are exact."""

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        run_virtual(_within(VIRTUAL_PATIENCE, scenario))

    async def forget_stream(self, transport: Transport, name: str) -> None:
        del self.broker.jetstream.streams[name]

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


class NatsEngine(NatsBackend):
    """A nats-server of its own for each test; times have a lower bound and a generous upper one."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        super().__init__(broker)
        self._proxies: dict[Transport, Proxy] = {}

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        run_loop(_within(PATIENCE, scenario))

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        assert not denied
        if not can_cut:
            return await super().connect(principal)
        proxy = Proxy(self.broker.port)
        port = await proxy.start()
        url = f"nats://127.0.0.1:{port}"
        transport = await NatsTransport.connect(url, principal=principal)
        self._proxies[transport] = proxy
        return transport

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
