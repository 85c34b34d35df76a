"""Link: an emitter's own connection, which may come later than the emitter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from hookbus.attributes import check_timeout
from hookbus.config.connection import Connection, connection_to, nats_options
from hookbus.errors import ConnectFailed, Disconnected
from hookbus.message import Requests

PAUSE: Final = 0.2  # seconds between two attempts; each tries for its own connect timeout

_OPTIONS: Final = ("name", "connect_timeout", "options")
_FILES: Final[tuple[str, ...]] = ("creds", "tls_ca", "tls_cert", "tls_key")

log = logging.getLogger(__name__)


class Connected(Requests, Protocol):
    """A connection that is its emitter's own."""

    async def close(self) -> None:
        """Send what was published, then close."""


def reach(
    url: str | None, principal: str, options: Mapping[str, Any]
) -> tuple[Connection, dict[str, Any]]:
    """Read what an emitter says of its connection: where it goes, and how it is opened.

    The second is for :meth:`hookbus.transport.NatsTransport.connect`.

    Raises:
        InvalidOption, TypeError: An option cannot be.
        SettingsError: A file or a variable cannot be used, or the credentials are another
            principal's.
    """
    if unknown := sorted(options.keys() - {*_OPTIONS, *_FILES}):
        known = ", ".join((*_FILES, *_OPTIONS))
        raise TypeError(f"unknown options of the connection: {unknown}; expected some of {known}")
    if "connect_timeout" in options:
        check_timeout(options["connect_timeout"] or 0, "connect_timeout")
    files = {name: options[name] for name in _FILES if name in options}
    to = connection_to(url, principal, **files)
    opened = {name: options[name] for name in _OPTIONS if name in options}
    if made := nats_options(to):
        opened["options"] = {**made, **(opened.get("options") or {})}
    return to, opened


class Link:
    """A connection that is opened once, by whoever comes first; the others wait with them."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connected]], *, keeps_trying: bool = False
    ) -> None:
        """Prepare only; *keeps_trying* goes on in the background after a first failure."""
        self._connect = connect
        self._keeps_trying = keeps_trying
        self._transport: Connected | None = None
        self._attempts: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._failed: Exception = ConnectFailed("no connection yet")
        self.is_closed = False

    @property
    def transport(self) -> Connected:
        """The connection.

        Raises:
            Disconnected: There is none; says why.
        """
        if self._transport is None or self.is_closed:
            raise Disconnected(str(self._failed))
        return self._transport

    async def open(self) -> None:
        """Return once connected; while attempts go on in the background, fail at once.

        Raises:
            ConnectFailed: Not reached, or closed meanwhile.
        """
        if self._transport is None and not self.is_closed:
            if self._attempts is None or self._attempts.done():
                self._tried.clear()
                self._attempts = asyncio.create_task(self._try())
            await self._tried.wait()
        if self._transport is None or self.is_closed:
            raise self._failed.with_traceback(None)  # it may be raised many times

    async def close(self) -> None:
        """End the attempts and close what they made; who waits for it hears of it at once."""
        self.is_closed = True
        self._failed = ConnectFailed("the emitter was closed")
        self._tried.set()
        if self._attempts is not None:
            self._attempts.cancel()
            await asyncio.wait([self._attempts])
        if self._transport is not None:
            await self._transport.close()

    async def _try(self) -> None:
        try:
            while not await self._is_reached() and self._keeps_trying:
                if not self._tried.is_set():
                    log.warning("%s; trying again", self._failed)
                self._tried.set()
                await asyncio.sleep(PAUSE)
            if self._tried.is_set():
                log.warning("the broker is reached now")
        except Exception as e:  # the options are wrong: no other attempt makes it better
            log.error("the connection cannot be made: %s: %s", type(e).__name__, e)
            self._failed = e
        finally:
            self._tried.set()

    async def _is_reached(self) -> bool:
        try:
            self._transport = await self._connect()
        except ConnectFailed as e:
            self._failed = e
            return False
        return True
