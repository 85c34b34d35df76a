"""Running an event loop: uvloop where it is installed, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as _new_event_loop
except ImportError:  # the extra 'uvloop' is not installed
    _new_event_loop = asyncio.new_event_loop

_Result = TypeVar("_Result")


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run *main* to its end, as :func:`asyncio.run` does."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)
