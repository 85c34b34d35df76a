"""Where lines are written: the standard output, or a file that is rotated by size."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Protocol

from audit_config import Config
from audit_lines import key_in

#: bytes at the end of a file in which earlier keys are looked for.
TAIL_BYTES = 1024 * 1024


class Sink(Protocol):
    """Takes whole lines."""

    def append(self, text: bytes) -> None:
        """Write *text* so that it is with the system on return, or raise OSError."""

    def close(self) -> None:
        """Let go of the file."""


class Log:
    """Writes each event once; for one thread at a time."""

    def __init__(self, config: Config) -> None:
        self._sink: Sink = FileSink(config) if config.path else StreamSink(sys.stdout.buffer)
        self._remember = config.remember
        self._written: OrderedDict[str, None] = OrderedDict()
        if config.path:
            for key in recent_keys(Path(config.path), config.remember):
                self._note(key)

    def write(self, key: str, text: bytes) -> bool:
        """Write *text* unless *key* is among the last lines; tell whether it was written.

        Raises:
            OSError: If it could not be written; then the same key may come again.
        """
        if key in self._written:
            return False
        self._sink.append(text)
        self._note(key)
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._sink.close()

    def _note(self, key: str) -> None:
        self._written[key] = None
        while len(self._written) > self._remember:
            self._written.popitem(last=False)


def recent_keys(path: Path, count: int) -> list[str]:
    """Return the keys of the last *count* lines: a restart must not write them again."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    keys = (key_in(line) for line in lines[-count - 1 :])
    return [key for key in keys if key is not None]


class StreamSink:
    """An open stream; it is not ours to close."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def append(self, text: bytes) -> None:
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """Nothing to do."""


class FileSink:
    """A file opened to append, one write a line, so that several processes may share it."""

    def __init__(self, config: Config) -> None:
        self._path = Path(config.path or "")
        self._max_bytes = config.max_bytes
        self._keep = config.keep
        self._file: int | None = None
        self._is_torn = False

    def append(self, text: bytes) -> None:
        file = self._open()
        size = os.fstat(file).st_size
        if self._max_bytes and size and size + len(text) > self._max_bytes:
            self._rotate()
            file = self._open()
        if self._is_torn:
            text = b"\n" + text  # what the disk had room for of the last line stays a line
        written = os.write(file, text)
        self._is_torn = written != len(text)
        if self._is_torn:
            raise OSError(f"{self._path}: {written} of {len(text)} bytes were written")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is not None and not self._is_current(self._file):
            self.close()  # somebody else's rotation moved it
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        return self._file

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """``a.log.1`` → ``a.log.2`` …, ``a.log`` → ``a.log.1``; the oldest is overwritten."""
        self.close()
        for number in range(self._keep - 1, 0, -1):
            older = Path(f"{self._path}.{number}")
            if older.exists():
                older.replace(f"{self._path}.{number + 1}")
        self._path.replace(f"{self._path}.1")
