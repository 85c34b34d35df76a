"""nats-py's socket, with a short way in and a short way out.

Messages are handed over where the bytes come in, not after a task was woken to read them from a
buffer: two turns of the loop and two copies less for each read, 10 µs. Everything that nats-py's
client does itself (connecting, TLS, pings, errors, the end of the connection) goes on as it was,
over its own reader and writer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

#: Bytes in the socket's buffer: from here on nats-py's flusher waits for a slow broker.
_SLOW: Final = 64 * 1024

#: Takes what it can of what was read and returns the rest, which nats-py has to look at.
Feed = Callable[[bytes], bytes]


class Reader(asyncio.StreamReader):
    """Keeps for nats-py what *feed* did not take."""

    def __init__(self, feed: Feed, limit: int) -> None:
        super().__init__(limit)
        self._feed = feed
        self._is_direct = False  # nats-py waits for more, and has finished with all before

    def feed_data(self, data: Any) -> None:
        if self._is_direct:
            data = self._feed(bytes(data))
            if not data:
                return
            self._is_direct = False
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        # nats-py reads in one task, comes back once all that it got is done, and waits here only
        # while nothing is kept
        self._is_direct = True
        try:
            return await super().read(n)
        finally:
            self._is_direct = False


class Socket(TcpTransport):
    """A TCP connection, of which *feed* gets the bytes first once nats-py's read loop runs."""

    _io_writer: Any  # StreamWriter; None before the first connection

    def __init__(self, feed: Feed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._feed = feed

    def __bool__(self) -> bool:
        return True  # or nats-py, which asks whether there is one, puts its own in its place

    async def connect(self, uri: Any, buffer_size: int, connect_timeout: float) -> None:
        loop = asyncio.get_running_loop()
        reader = Reader(self._feed, buffer_size)
        protocol = asyncio.StreamReaderProtocol(reader)
        connecting = loop.create_connection(lambda: protocol, uri.hostname, uri.port)
        transport, _ = await asyncio.wait_for(connecting, connect_timeout)
        self._io_reader = self._bare_io_reader = reader
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._io_writer = self._bare_io_writer = writer

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        reader = Reader(self._feed, buffer_size)
        protocol = asyncio.StreamReaderProtocol(reader)
        name = uri if isinstance(uri, str) else uri.hostname
        below = self._io_writer.transport
        starting = loop.start_tls(below, protocol, ssl_context, server_hostname=name)
        transport: Any = await asyncio.wait_for(starting, connect_timeout)
        self._io_reader = reader
        self._io_writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    def write_at_once(self, commands: list[bytes]) -> bool:
        """Write *commands*, unless the broker is slow or the connection ends."""
        transport = self._io_writer.transport
        if transport.get_write_buffer_size() >= _SLOW or transport.is_closing():
            return False
        transport.write(b"".join(commands))
        return True

    def abort(self) -> None:
        """Drop the connection and what it has not sent."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()
