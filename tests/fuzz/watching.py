"""The oracle for all targets: nothing crashes, nothing hangs, nothing takes long."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CPU_LIMIT = 3.0  # seconds for one input; the slowest takes 0.8 on an idle machine
HANG = 8.0  # seconds of CPU time after which an input is broken off
VIRTUAL_LIMIT = 400.0  # seconds on the loop's clock: beyond every timeout there is


class Finding(Exception):
    """The oracle says no."""


class Broken(BaseException):
    """Out of code that does not end; no `except Exception` may swallow it."""


class Watch(logging.Handler):
    """Collects what must not happen beside the answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self.problems: list[str] = []
        self.warnings: list[str] = []
        loop.set_exception_handler(self._on_loop_error)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR and record.exc_info is None:
            if record.name == "hookbus.decisions":
                return  # that an event was blocked is its answer, and nothing beside it
            self.warnings.append(record.getMessage())
            return
        error = record.exc_info[1] if record.exc_info else None
        self.problems.append(f"log: {record.getMessage()[:300]}: {error!r:.300}")

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Broken):
            self.problems.append(f"hangs: broken off after {HANG:g} s of CPU time")
            return
        self.problems.append(f"loop: {context.get('message')}: {context.get('exception')!r:.300}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.WARNING)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)

    @contextmanager
    def one_input(self) -> Iterator[None]:
        """Judge all that happens inside.

        Raises:
            Finding: It crashed something, or took too long.
        """
        self.problems.clear()
        self.warnings.clear()
        began = time.process_time()
        with _breaking_off():
            try:
                yield
            except Broken:
                raise Finding(f"hangs: broken off after {HANG:g} s of CPU time") from None
        took = time.process_time() - began
        if self.problems:
            raise Finding("; ".join(self.problems[:3]))
        if took > CPU_LIMIT:
            raise Finding(f"took {took:.2f} s of CPU time, at most {CPU_LIMIT:g}")


@contextmanager
def _breaking_off() -> Iterator[None]:
    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise Broken

    before = signal.signal(signal.SIGVTALRM, on_alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
