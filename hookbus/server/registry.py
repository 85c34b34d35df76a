"""The registry as a server role: FastStream takes the requests, the broker's KV keeps the state."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable
from typing import Final

from hookbus import __version__, subjects
from hookbus.config.connection import Connection
from hookbus.config.settings import Settings
from hookbus.control import Control
from hookbus.errors import Disconnected, HookbusError
from hookbus.keyvalue import NatsKeyValue
from hookbus.observers import ensure_streams, sync_consumers
from hookbus.plugin_config import plugin_config, tell_config
from hookbus.presence import Endpoint, Presence, Service
from hookbus.registry import Registry
from hookbus.server.host import Host
from hookbus.server.rpc import Rpc
from hookbus.snapshot import Binding
from hookbus.streams import NatsStreams
from hookbus.transport import NatsTransport

RETRY: Final = 0.25  # seconds between attempts to write the configuration

log = logging.getLogger(__name__)


class RegistryServer:
    """Answers plugins and operators, and writes the configuration that the dispatchers serve."""

    name: Final = "registry"

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._serving: _Serving | None = None

    @property
    def is_ready(self) -> bool:
        return self._serving is not None and self._serving.is_ready

    async def start(self, transport: NatsTransport) -> None:
        config = await NatsKeyValue.open(transport, subjects.CONFIG_BUCKET)
        state = await NatsKeyValue.open(transport, subjects.STATE_BUCKET)
        registry = Registry(transport, config, state, self._settings)
        rpc = Rpc(self._connection, self.name, transport)
        self._serving = _Serving(transport, registry, self._settings, rpc)
        await self._serving.start()

    async def stop(self) -> None:
        if self._serving is not None:
            serving, self._serving = self._serving, None
            await serving.stop()


def host(connection: Connection, settings: Settings) -> Host:
    """Make a registry that is not started yet."""
    return Host(RegistryServer(settings, connection), connection)


class _Serving:
    """A registry over one connection."""

    def __init__(
        self, transport: NatsTransport, registry: Registry, settings: Settings, rpc: Rpc
    ) -> None:
        self._transport = transport
        self._registry = registry
        self._settings = settings
        self._rpc = rpc
        self._streams = NatsStreams(transport)
        self._control = Control(registry, transport)
        self._announced = Endpoint("announce", subjects.ANNOUNCE_ALL, subjects.REGISTRY_QUEUE)
        self._asked = Endpoint("control", subjects.CONTROL_ALL, subjects.REGISTRY_QUEUE)
        self._presence = Presence(
            transport,
            Service(
                subjects.REGISTRY_SERVICE,
                __version__,
                secrets.token_hex(8),
                endpoints=[self._announced, self._asked],
            ),
        )
        self._generation = 0
        self._again = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        registry.on_bindings = self._on_bindings
        rpc.answer(subjects.ANNOUNCE_ALL, subjects.REGISTRY_QUEUE, self._on_announce)
        rpc.answer(subjects.CONTROL_ALL, subjects.REGISTRY_QUEUE, self._on_control)

    @property
    def is_ready(self) -> bool:
        """The configuration is written, and requests are taken."""
        return self._generation > 0 and self._rpc.is_connected

    async def start(self) -> None:
        """Write the configuration, then listen: a request must find what was there before."""
        await self._write()
        await self._presence.start()
        await self._rpc.start()
        self._transport.on_reconnect(self._again.set)
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._rpc.stop()
        self._registry.stop()
        await self._presence.stop()

    async def _write(self) -> None:
        await ensure_streams(self._streams, self._settings)
        made = await self._registry.start()
        # the settings may be others than before a restart: who serves already must hear of it
        for plugin in sorted({binding.plugin for binding in made.bound.document.bindings}):
            config = plugin_config(made.state.settings, plugin)
            await tell_config(self._transport, plugin, config)
        self._generation = made.generation

    async def _keep(self) -> None:
        """See after each reconnect that all is there: the broker may have come back empty."""
        told = ""  # the same is said once, however often it is tried
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                for bucket in (subjects.CONFIG_BUCKET, subjects.STATE_BUCKET):
                    await NatsKeyValue.open(self._transport, bucket)
                await self._write()
                told = ""
            except Disconnected:
                continue  # the next reconnect sets it again
            except HookbusError as e:
                if str(e) != told:
                    log.warning("configuration_not_written: %s; trying on", e)
                told = str(e)
                await asyncio.sleep(RETRY)
                self._again.set()

    async def _on_bindings(self, bindings: tuple[Binding, ...]) -> None:
        await sync_consumers(self._streams, bindings)

    async def _on_announce(self, subject: str, body: bytes) -> bytes:
        plugin = subject.rpartition(".")[2]
        return await _counted(self._announced, self._registry.announce(plugin, body))

    async def _on_control(self, subject: str, body: bytes) -> bytes:
        principal, operation = subjects.principal_and_type(subject)  # the same shape
        return await _counted(self._asked, self._control.answer(principal, operation, body))


async def _counted(endpoint: Endpoint, answer: Awaitable[bytes]) -> bytes:
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        body = await answer
    except HookbusError as e:
        endpoint.done(clock() - started, str(e))
        raise
    endpoint.done(clock() - started)
    return body
