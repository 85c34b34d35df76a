"""HTTP connections that nobody can hold: few, short, and with one answer each.

Probes and scrapes are small and over in milliseconds; who opens a thousand connections, sends half
a request or never reads must not take the role's descriptors, its loop or its memory. uvicorn's
own ``limit_concurrency`` would answer the honest probe 503 as well, and the role be restarted.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 64  # one more, and the oldest goes: an honest one is over long before
LONGEST: Final = 10.0  # seconds of a connection's life; as long as Prometheus waits for a scrape

#: Of every answer: the next request is a connection of its own, and none waits in line behind it.
ONE_ANSWER: Final = ("connection", "close")


class ShortConnection(H11Protocol):
    """One HTTP connection: uvicorn's own, which ends in time whatever its client does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since = time.monotonic()
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = self.loop.call_later(LONGEST, transport.abort)
        if len(self.connections) > MAX_CONNECTIONS:
            others = cast("set[ShortConnection]", self.connections)
            oldest = min(others, key=lambda connection: connection._since)
            others.discard(oldest)  # it is told later that it ended, and must not be chosen again
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
