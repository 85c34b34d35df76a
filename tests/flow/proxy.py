"""A connection in between that a test can delay, cut, or let go silent."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """Carries TCP connections to a port of this machine, as well as a test lets it.

    Attributes:
        delay: seconds that every byte takes longer, each way.
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self._target = port
        self._port = 0  # a free one
        self._server: asyncio.Server | None = None
        self._mending: asyncio.Task[None] | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        #: Set when the connections of now go silent; those after a mend have another one.
        self._silence = asyncio.Event()

    async def start(self) -> int:
        """Listen on a free port and return it."""
        await self._listen()
        return self._port

    def cut(self) -> None:
        """Close what is open, and listen no more."""
        # not "accept and close": nats-py 2.16 never closes the writer of such an attempt
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    def silence(self) -> None:
        """Swallow all that comes, also of new connections: no end hears of the other, nor its end.

        What was open stays half-open for ever; a mend lets new connections through.
        """
        self._silence.set()

    def mend(self) -> None:
        """Carry new connections, on the same port."""
        self._silence = asyncio.Event()
        if self._server is None:
            self._mending = asyncio.ensure_future(self._listen())

    async def stop(self) -> None:
        """Close everything and wait until it is: nothing may be left over for the next test."""
        if self._mending is not None:
            await self._mending
        self.cut()
        await asyncio.gather(*self._carrying)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silence = self._silence
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the broker is gone
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        if self._server is None:  # cut meanwhile
            far_writer.transport.abort()
        await asyncio.gather(
            self._pump(reader, far_writer, silence), self._pump(far_reader, writer, silence)
        )
        for end in (writer, far_writer):
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0  # when the last bytes arrive: later ones never overtake them
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65_536):
                if silence.is_set():
                    continue
                due = max(due + 1e-6, loop.time() + self.delay)
                if self.delay:
                    loop.call_at(due, writer.write, part)
                    continue
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                writer.write(part)
                await writer.drain()
        if silence.is_set():
            return  # the other end does not hear of it
        await asyncio.sleep(max(0.0, due - loop.time()))
        writer.close()
