"""One role as a process: HTTP by uvicorn, hosted by FastStream, until it is told to stop."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator
from types import FrameType
from typing import Final

import uvicorn
from faststream.asgi import AsgiFastStream

from hookbus import __version__
from hookbus.loop import run
from hookbus.otel.losses import Losses
from hookbus.otel.setup import telemetry
from hookbus.server.connections import ONE_ANSWER, ShortConnection
from hookbus.server.health import health_routes
from hookbus.server.host import Host
from hookbus.server.logs import LEVELS, configure_logs
from hookbus.server.reports import hosted

#: Objects that are new and still there before the collector looks at them. Under load nearly all
#: end by themselves; with Python's own 700, looking was a tenth of the dispatcher's CPU.
YOUNG_OBJECTS: Final = 10_000

log = logging.getLogger(__name__)


def serve(host: Host, listener: socket.socket, *, json_logs: bool, log_level: str) -> None:
    """Serve until SIGTERM or ctrl-C; then finish what runs, and return.

    *log_level* is one of `hookbus.server.logs.LEVELS`.

    Raises:
        SettingsError: The role refuses to start with its settings.
    """
    configure_logs(as_json=json_logs, level=LEVELS[log_level])
    with telemetry(f"hookbus-{host.role.name}", __version__) as losses:
        _serve(host, listener, losses)
    if host.refusal is not None:
        raise host.refusal


def _serve(host: Host, listener: socket.socket, losses: Losses) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(host, losses),
            http=ShortConnection,
            headers=[ONE_ANSWER],
            log_config=None,
            access_log=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=1,  # seconds; only health requests come in here
        )
    )

    def end() -> None:
        server.should_exit = True

    def on_signal(number: int, frame: FrameType | None) -> None:
        end()

    host.on_refusal = end

    # uvicorn raises a signal again after its orderly end, which would then be no orderly end
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    address = ":".join(map(str, listener.getsockname()[:2]))
    log.info("%s starts; health at http://%s/healthz", host.role.name, address)
    run(server.serve(sockets=[listener]))


class RoleApp(AsgiFastStream):
    """FastStream's application, for a role that opens its connections itself.

    The order is the role's: the registry may take requests only once its state is there, and the
    dispatcher has no FastStream broker at all.
    """

    async def _start_broker(self) -> None:
        """Override the start of a broker that must be there otherwise (FastStream 0.7)."""


def make_app(host: Host, losses: Losses) -> RoleApp:
    """Make the ASGI application, whose life is the life of the role."""

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with hosted(host, losses):
            # what was imported stays: without this the collector walks it again and again, which
            # was a tenth of the dispatcher's CPU under load
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS)
            yield

    return RoleApp(asgi_routes=health_routes(host), lifespan=lifespan, logger=None)
