"""A role for as long as its process runs: opened when the broker is there, closed in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from hookbus.config.connection import Connection, nats_options
from hookbus.errors import ConnectRefused, HookbusError, SettingsError, SubscriptionDenied
from hookbus.families import Family
from hookbus.transport import NatsTransport

RETRY: Final = 0.25  # seconds between attempts

log = logging.getLogger(__name__)


class Role(Protocol):
    """What one kind of server does on the bus."""

    @property
    def name(self) -> str:
        """Its principal on the bus: ``dispatcher``, ``registry``."""

    @property
    def is_ready(self) -> bool:
        """Tell whether it can do its work now."""

    @property
    def health(self) -> dict[str, Any]:
        """What else an operator should know; a value that JSON can say by name."""

    def metrics(self) -> Iterable[Family]:
        """What it has counted so far; nothing while it is not started."""

    async def start(self, transport: NatsTransport) -> None:
        """Begin over a connection of its own.

        Raises:
            HookbusError: It could not; `stop` is called, then `start` with a new connection.
            SettingsError: It refuses to; only a person can mend that.
        """

    async def stop(self) -> None:
        """Leave in the order that loses nothing, also after half a start."""


class Host:
    """Keeps one role on the bus.

    It gives up only at its start, and only what a person must mend: settings that the role
    refuses, credentials or a certificate that are refused, rights that do not suffice.
    """

    def __init__(self, role: Role, connection: Connection) -> None:
        self.role = role
        self._connection = connection
        self._transport: NatsTransport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._told = ""
        #: Why the role cannot start; whoever runs it ends then, which `on_refusal` asks for.
        self.refusal: SettingsError | None = None
        self.on_refusal: Callable[[], None] = lambda: None

    @property
    def is_connected(self) -> bool:
        return self._transport is not None and self._transport.is_connected

    @property
    def is_ready(self) -> bool:
        return self.is_connected and self.role.is_ready

    def start(self) -> None:
        """Begin in the background: health is answered before the broker is there."""
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def stop(self) -> None:
        """Close the role, then its connection."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._close()

    async def _open(self) -> None:
        while True:
            try:
                self._transport = await NatsTransport.connect(
                    self._connection.nats_url,
                    principal=self.role.name,
                    name=f"hookbus-{self.role.name}",
                    options=nats_options(self._connection),
                )
                await self.role.start(self._transport)
                await self._transport.flush()
                self._transport.check_subscriptions()
            except SettingsError as e:
                self.refusal = e
                self.on_refusal()
                return
            except (ConnectRefused, SubscriptionDenied) as e:
                self.refusal = SettingsError(f"{self.role.name}: {e}")
                self.on_refusal()
                return
            except HookbusError as e:
                self._tell(e)
            except Exception:
                log.exception("role_not_started; trying on")
            else:
                log.info("%s is on the bus at %s", self.role.name, self._connection.nats_url)
                return
            await self._close()
            await asyncio.sleep(RETRY)

    async def _close(self) -> None:
        if self._transport is None:
            return
        with contextlib.suppress(HookbusError):  # the connection is lost: nothing left to say
            await self.role.stop()
        await self._transport.close()
        self._transport = None

    def _tell(self, error: HookbusError) -> None:
        """Say the same only once, however often it is tried."""
        if str(error) != self._told:
            log.warning("%s; trying on", error)
        self._told = str(error)
