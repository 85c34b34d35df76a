"""Running an event loop: uvloop where it is installed, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as _new_event_loop
except ImportError:  # the extra 'uvloop' is not installed
    _new_event_loop = asyncio.new_event_loop

_Result = TypeVar("_Result")


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the monotonic clock to measure with, in seconds.

    uvloop's own counts whole milliseconds and stands still within a turn of the loop; a loop with
    a time of its own (hookbus.testing.VirtualTimeLoop) keeps that.
    """
    return time.monotonic if type(loop).__module__.startswith("uvloop") else loop.time


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run *main* to its end, as :func:`asyncio.run` does."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)
