"""The registry as a server role: FastStream takes the requests, the KV keeps the state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable
from typing import Any, Final

from hookbus import __version__, subjects
from hookbus.config.connection import Connection
from hookbus.config.settings import Settings
from hookbus.control import Control
from hookbus.errors import Disconnected, HookbusError
from hookbus.keyvalue import NatsKeyValue
from hookbus.observers import ensure_streams, sync_consumers
from hookbus.presence import Endpoint, Presence, Service
from hookbus.registry import Registry, tell_config
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
        self._rpc: Rpc | None = None
        self._presence: Presence | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._is_written = False

    @property
    def is_ready(self) -> bool:
        """The configuration is written and requests are taken."""
        return self._is_written and self._rpc is not None and self._rpc.is_connected

    async def start(self, transport: NatsTransport) -> None:
        """Write the configuration first: an announcement must find what it is bound to."""
        streams = NatsStreams(transport)
        registry = Registry(
            transport, *await _open_buckets(transport), settings=self._settings
        )

        async def on_bindings(bindings: tuple[Binding, ...]) -> None:
            await sync_consumers(streams, bindings)

        async def write() -> None:
            await ensure_streams(streams, self._settings)
            made = await registry.start()
            # another settings file than before the restart: who serves already must hear of it
            for plugin in {binding.plugin for binding in made.bound.document.bindings}:
                await tell_config(transport, plugin, registry.plugin_config(plugin))
            self._is_written = True

        registry.on_bindings = on_bindings
        await write()
        await self._listen(transport, registry)
        transport.on_reconnect(self._again.set)
        self._keeping = asyncio.get_running_loop().create_task(self._keep(transport, write))
