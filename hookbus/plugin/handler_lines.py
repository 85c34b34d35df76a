"""What a plugin's log says of its handlers: each thing at once, then one line in ten seconds.

A handler that raises on each of a thousand events would be a thousand tracebacks, and say no more
than one.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from hookbus.seldom import Seldom

log = logging.getLogger("hookbus.plugin")


class HandlerLines:
    """Writes them, with the number of those ``left_out`` since the last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """*clock* is monotonic, in seconds."""
        self._seldom = Seldom(clock)

    def warn(self, word: str, hook: str, hint: str = "", **fields: Any) -> None:
        """Write what is wrong with a *hook*; the *hint* says where, or what to do."""
        line = self._seldom.line((word, hook), word, {"hook": hook, **fields})
        if line is not None:
            log.warning("%s%s", line, hint and f"; {hint}", extra=line.fields)

    def raised(self, hook: str, error: BaseException) -> None:
        """Write a handler's exception, with its traceback; one line for each place of the code."""
        place = [
            (frame.f_code.co_filename, at) for frame, at in traceback.walk_tb(error.__traceback__)
        ]
        key = ("handler_failed", hook, type(error).__qualname__, *place[-1:])
        line = self._seldom.line(key, "handler_failed", {"hook": hook})
        if line is not None:
            log.error(line, extra=line.fields, exc_info=error)
