"""/healthz, /readyz and /metrics: how a role's process is, for machines that look after it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from faststream.asgi import AsgiResponse, HttpHandler, get

from hookbus import __version__
from hookbus.families import Family
from hookbus.server.exposition import CONTENT_TYPE, exposition
from hookbus.server.host import Host
from hookbus.server.metrics import of_process

#: Seconds in which /metrics is the same text: to write it takes the loop on which events are
#: decided, and whoever reaches the port may ask.
FRESH: Final = 0.5


def health_routes(host: Host) -> list[tuple[str, HttpHandler]]:
    """Make the routes.

    Health answers 200 when all is well and 503 otherwise, with a small JSON; metrics always 200.
    """
    return [
        # alive without a broker, too: to start it again would bring no broker back
        ("/healthz", _route(host, lambda: True)),
        ("/readyz", _route(host, lambda: host.is_ready)),
        ("/metrics", _metrics(host)),
    ]


def _route(host: Host, is_well: Callable[[], bool]) -> HttpHandler:
    @get(include_in_schema=False)
    async def answer(scope: Any) -> AsgiResponse:
        well = is_well()
        body = {
            "role": host.role.name,
            "version": __version__,
            "connected": host.is_connected,
            "ready": host.is_ready,
            **host.role.health,
        }
        headers = {"content-type": "application/json"}
        return AsgiResponse(msgspec.json.encode(body), 200 if well else 503, headers)

    return answer


def _metrics(host: Host) -> HttpHandler:
    written = Written(lambda: exposition(families_of(host)), time.monotonic)

    @get(include_in_schema=False)
    async def answer(scope: Any) -> AsgiResponse:
        return AsgiResponse(written.now(), 200, {"content-type": CONTENT_TYPE})

    return answer


class Written:
    """A text that is written at most twice a second, however often it is asked for."""

    def __init__(self, write: Callable[[], bytes], clock: Callable[[], float]) -> None:
        """*clock* is monotonic, in seconds."""
        self._write = write
        self._clock = clock
        self._text = b""
        self._until = -math.inf

    def now(self) -> bytes:
        """Return the text, at most `FRESH` seconds old."""
        now = self._clock()
        if now >= self._until:
            self._text = self._write()
            self._until = now + FRESH
        return self._text


def families_of(host: Host) -> tuple[Family, ...]:
    """All that a role's process has measured so far; on its loop."""
    process = of_process(
        host.role.name,
        __version__,
        is_connected=host.is_connected,
        is_ready=host.is_ready,
        tasks=len(asyncio.all_tasks()),
    )
    return (*process, *host.role.metrics())
