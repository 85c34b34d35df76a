"""The dispatcher as a server role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hookbus import __version__, subjects
from hookbus.config.connection import Connection
from hookbus.dispatch.role import DispatcherRole
from hookbus.families import Family
from hookbus.keyvalue import NatsKeyValue
from hookbus.otel.setup import dispatch_tracing
from hookbus.server.host import Host
from hookbus.server.metrics import of_dispatcher
from hookbus.transport import NatsTransport


class DispatcherServer:
    """Decides events over the transport it is given.

    It listens with nats-py, not with FastStream subscribers: measured, one of those costs the
    dispatcher ten times the CPU per message. It needs no settings: all it knows, the registry
    wrote into the configuration.
    """

    name: Final = "dispatcher"

    def __init__(self) -> None:
        self._role: DispatcherRole | None = None

    @property
    def is_ready(self) -> bool:
        return self._role is not None and self._role.is_ready

    @property
    def health(self) -> dict[str, Any]:
        if self._role is None:
            return {"generation": 0, "recording": {}}
        # a stream that takes nothing leaves it ready, also where every decision waits for it: the
        # Blocks are what the operator asked for, and another dispatcher has the same stream
        return {"generation": self._role.ingress.generation, "recording": self._role.recording()}

    def metrics(self) -> Iterable[Family]:
        return of_dispatcher(self._role.stats()) if self._role is not None else ()

    async def start(self, transport: NatsTransport) -> None:
        async def open_config() -> NatsKeyValue:
            return await NatsKeyValue.open(transport, subjects.CONFIG_BUCKET, create=False)

        self._role = DispatcherRole(
            transport, open_config, version=__version__, tracing=dispatch_tracing()
        )
        await self._role.start()

    async def stop(self) -> None:
        if self._role is not None:
            role, self._role = self._role, None
            await role.stop()


def host(connection: Connection) -> Host:
    """Make a dispatcher that is not started yet."""
    return Host(DispatcherServer(), connection)
