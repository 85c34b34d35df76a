"""Lines of a file or of stdin for a coroutine: bounded memory, however long the input is."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from hookbus.cli.errors import UsageError

CHUNK: Final = 64 * 1024  # bytes that are read at once
CHUNKS_AHEAD: Final = 4
MAX_LINE: Final = 8 * 1024 * 1024  # bytes; a broker takes no larger message

_STDIN: Final = 0


class LineInput:
    """Reads lines in a thread of its own, which a blocked read cannot keep alive.

    Attributes:
        size: bytes of a regular file; None of what has no end that is known.
        read: bytes so far.
    """

    def __init__(self, name: str) -> None:
        """Open the file *name*, or stdin for ``-``.

        Raises:
            UsageError: It cannot be read.
        """
        try:
            self._fd = _STDIN if name == "-" else os.open(name, os.O_RDONLY)
            os.read(self._fd, 0)  # a directory can be opened
            is_file = Path(f"/dev/fd/{self._fd}").is_file()
            self.size = os.fstat(self._fd).st_size if is_file else None
        except OSError as e:
            raise UsageError(f"--from: {name!r}: cannot be read: {e.strerror}") from e
        self.read = 0
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    async def lines(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield each line that is not blank, with its number from 1.

        One that is longer than :data:`MAX_LINE` is yielded cut, so that it can be refused.

        Raises:
            UsageError: Reading failed on the way.
        """
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._pump, args=(loop,), daemon=True).start()
        rest, number, is_skipping = b"", 0, False
        while chunk := await self._next():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                number += 1
                if line.strip() and not is_skipping:
                    yield number, line
                is_skipping = False
            if len(rest) > MAX_LINE:
                if not is_skipping:
                    yield number + 1, rest
                rest, is_skipping = b"", True
        if rest.strip() and not is_skipping:
            yield number + 1, rest

    async def _next(self) -> bytes:
        chunk = await self._chunks.get()
        self._room.release()
        if isinstance(chunk, OSError):
            raise UsageError(f"--from: reading failed: {chunk.strerror}") from chunk
        self.read += len(chunk)
        return chunk

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        chunk: bytes | OSError = b"..."
        while chunk and not isinstance(chunk, OSError):
            self._room.acquire()
            try:
                chunk = os.read(self._fd, CHUNK)
            except OSError as e:
                chunk = e
            try:
                loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop was closed meanwhile
                return
