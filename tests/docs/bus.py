"""A whole bus in this process, and bare NATS to talk to it as an outsider does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from hookbus.config.connection import Connection
from hookbus.config.settings import parse_settings
from hookbus.registry.settings_changes import Source
from hookbus.server.dispatcher import DispatcherServer
from hookbus.server.registry import RegistryServer
from hookbus.transport import NatsTransport

PATIENCE = 30.0  # seconds for a whole scenario
SOON = 10.0  # seconds for one answer

T = TypeVar("T")


class Bus:
    """A registry and a dispatcher on a broker, and *client*: bare NATS, as an outsider has it."""

    def __init__(self, url: str, client: Client) -> None:
        self.url = url
        self.client = client

    async def request(self, subject: str, body: Any, headers: dict[str, str] | None = None) -> Msg:
        """Send a body, JSON values or bytes, and return the reply."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.request(subject, data, timeout=SOON, headers=headers)

    async def ask(self, subject: str, body: Any) -> Any:
        """Send a body and return the JSON of the reply."""
        return json.loads((await self.request(subject, body)).data)

    async def serve(self, answer: dict[str, Any]) -> None:
        """Return once the dispatcher uses the generation that *answer* names."""
        wait = {"v": 1, "generation": answer["generation"], "timeout_ms": 5000}
        served = await self.ask("hookbus.ctl.ops.wait_generation", wait)
        assert "error" not in served, served


Scenario = Callable[[Bus], Coroutine[Any, Any, T]]


class OnBus(Protocol):
    def __call__(self, scenario: Scenario[T]) -> T: ...


async def run(url: str, scenario: Scenario[T]) -> T:
    """Run *scenario* on a registry and a dispatcher that are started for it."""
    settings = parse_settings({"mode": "development"}, "the test")
    registry = RegistryServer(Source(settings), None, Connection(nats_url=url))
    async with asyncio.timeout(PATIENCE):
        async with _serving(registry, url), _serving(DispatcherServer(), url):
            client = await nats.connect(url)
            try:
                return await scenario(Bus(url, client))
            finally:
                await client.close()


@asynccontextmanager
async def _serving(role: RegistryServer | DispatcherServer, url: str) -> AsyncIterator[None]:
    transport = await NatsTransport.connect(url, principal=role.name)
    try:
        await role.start(transport)
        yield
    finally:
        await role.stop()
        await transport.close()
