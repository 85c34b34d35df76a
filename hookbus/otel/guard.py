"""What writing spans runs of other people's code must change nothing: no decision, no handler."""

from __future__ import annotations

import logging
import time
import traceback
from types import TracebackType
from typing import Self

from hookbus.seldom import Seldom

log = logging.getLogger(__name__)


class Guard:
    """Around all that a tracer runs: an exception of it is one line, seldom, and ends there.

    A service's own sampler, span processor or tracer provider may raise. May be entered again and
    again.
    """

    def __init__(self) -> None:
        self._seldom = Seldom(time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if self._seldom.left_out(type(error).__name__) is not None:
            log.warning("spans_not_written: %s; only the trace lacks them", raised(error))
        return True


def raised(error: Exception) -> str:
    """``"KeyError at /app/spans.py:12"``; its text may quote anything."""
    places = traceback.extract_tb(error.__traceback__, limit=-1)
    at = "".join(f" at {place.filename}:{place.lineno}" for place in places)
    return f"{type(error).__name__}{at}"
