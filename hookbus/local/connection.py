"""What an emitter has instead of a connection when its dispatcher is in the same process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import msgspec

from hookbus import __version__, subjects
from hookbus.config.connection import Connection
from hookbus.dispatch.role import DispatcherRole
from hookbus.errors import ConnectFailed, Disconnected, HookbusError, PayloadTooLarge
from hookbus.inbox import Inbox
from hookbus.keyvalue import NatsKeyValue
from hookbus.link import Connected
from hookbus.message import Message
from hookbus.otel.setup import dispatch_tracing
from hookbus.transport import NatsTransport, Transport


class LocalConnection(Connected):
    """A dispatcher that only this process asks; it stands where an emitter has a connection."""

    def __init__(self, role: DispatcherRole, transport: Transport, principal: str) -> None:
        """Ask *role*, which is ``local_to`` its emitter and reaches the bus over *transport*."""
        self._role = role
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        # its requests, their timers and their ends, with our own way to the dispatcher
        self._inbox = Inbox(principal, self._take, transport.ready)
        transport.on_disconnect(partial(self._inbox.fail_all, "the connection was lost"))

    @classmethod
    async def open(cls, to: Connection, source: str, options: Mapping[str, Any]) -> Self:
        """Connect and start a dispatcher for the emitter *source*.

        Raises:
            ConnectFailed: The broker is not reached, or was lost again.
            SubscriptionDenied: The broker's permissions are not those of a local dispatcher.
        """
        transport = await NatsTransport.connect(to.nats_url, principal=to.principal, **options)
        open_config = partial(NatsKeyValue.open, transport, subjects.CONFIG_BUCKET, create=False)
        role = DispatcherRole(
            transport,
            open_config,
            version=__version__,
            local_to=source,
            tracing=dispatch_tracing(),
        )
        local = cls(role, transport, to.principal)
        try:
            await role.start()
            await transport.flush()
            transport.check_subscriptions()
        except BaseException as e:
            await local.close()
            if isinstance(e, Disconnected):
                raise ConnectFailed(str(e)) from e
            raise
        return local

    @property
    def is_connected(self) -> bool:
        return self._transport.is_connected

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Have an emit decided, or a notification stored; fails as a request over the broker."""
        self._check_loop()
        return await self._inbox.request(subject, data, timeout=timeout, headers=headers)

    async def close(self) -> None:
        """Decide what is in flight, let its records be stored, and leave the bus."""
        try:
            with contextlib.suppress(HookbusError):  # the broker is gone: nothing left to tell it
                await self._role.stop()
        finally:
            await self._transport.close()

    def _take(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Hand a request to the dispatcher; a way to it that only looks like the broker's."""
        if not self._transport.is_connected:
            raise Disconnected("the connection is down")
        # no plugin could be told of it, and over the broker it would not have come here
        if len(data) > self._transport.max_payload:
            raise PayloadTooLarge(len(data), self._transport.max_payload)
        self._role.ingress.take(subject, data, headers, partial(self._deliver, reply))
        return True

    def _deliver(self, reply: str, body: bytes, headers: dict[str, str] | None) -> bool:
        self._inbox.on_message(_Reply(reply, body, headers))
        return True

    def _check_loop(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # a forked child has none, even where the parent had
            running = None
        if running is not self._loop:
            raise RuntimeError(
                "this emitter's dispatcher runs on another event loop, or in the process that this"
                " one was forked from; call hookbus.local.connect() and open it here"
            )


class _Reply(msgspec.Struct, frozen=True, gc=False):
    """A reply that never was on the broker."""

    subject: str
    data: bytes
    headers: dict[str, str] | None
    reply: str = ""
