"""/healthz and /readyz: whether a role's process is alive, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from faststream.asgi import AsgiResponse, HttpHandler, get

from hookbus import __version__
from hookbus.server.host import Host


def health_routes(host: Host) -> list[tuple[str, HttpHandler]]:
    """Make the routes; each answers 200 when all is well and 503 otherwise, with a small JSON."""
    return [
        # alive without a broker, too: to start it again would bring no broker back
        ("/healthz", _route(host, lambda: True)),
        ("/readyz", _route(host, lambda: host.is_ready)),
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
