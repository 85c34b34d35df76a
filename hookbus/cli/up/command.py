"""`hookbus up`: the whole bus on this machine, kept running for development."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hookbus.cli.operating import absent
from hookbus.cli.streams import say_error
from hookbus.cli.up.localbus import BusPlan, LocalBus
from hookbus.cli.up.plugin_files import bundled_plugins, find_plugins
from hookbus.cli.up.security import OPERATOR
from hookbus.config.connection import default_data_dir
from hookbus.loop import run

DEFAULT_NATS_PORT = 4222
DEFAULT_HTTP_PORT = 8080
MAX_PORT = 65_535


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="N", help="Port of NATS; 0: free ones, for HTTP too."
        ),
    ] = DEFAULT_NATS_PORT,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_PORT, metavar="N", help="Port of /healthz and /readyz; default 8080."
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; default ./hookbus.toml.")
    ] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Run these plugins too.")
    ] = None,
    no_bundled: Annotated[
        bool, typer.Option("--no-bundled", help="Leave the reference plugins out.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the broker keeps its data.")
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Ask everybody for credentials, and make those.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say ready in JSON.")] = False,
) -> None:
    """Run broker, registry, dispatcher and plugins until ctrl-C.

    Example: hookbus up --secure
    """
    logging.basicConfig(level=logging.WARNING, format="hookbus: %(message)s", stream=sys.stderr)
    # what happens to a connection of ours is seen from its cause
    logging.getLogger("hookbus.transport").setLevel(logging.ERROR)
    scripts = [script for folder in plugins or [] for script in find_plugins(folder)]
    if http_port is None:
        http_port = DEFAULT_HTTP_PORT if port else 0
    plan = BusPlan(
        data_dir=data or default_data_dir(),
        settings=settings,
        plugins=(*([] if no_bundled else bundled_plugins()), *scripts),
        nats_port=port,
        http_port=http_port,
        is_secure=secure,
    )
    run(_up(plan, as_json=as_json))


async def _up(plan: BusPlan, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with LocalBus.start(plan) as bus:
        if await _unless(stopped, bus.wait_ready()):
            _say_ready(bus, as_json=as_json)
            await _unless(stopped, bus.watch())


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do *work* until it ends or we are told to stop; tell whether it ended by itself.

    Raises what *work* raises.
    """
    doing = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
        return doing.done()
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)


def _say_ready(bus: LocalBus, *, as_json: bool) -> None:
    """Print the one line on stdout that a script may wait for; everything else is on stderr."""
    operator = bus.security.creds(OPERATOR) if bus.security else None
    if operator is None:
        say_error(
            f"hookbus: no authentication: whoever reaches {bus.nats_url} may do everything;"
            " 'hookbus up --secure' asks for credentials"
        )
    else:
        say_error(f"hookbus: to operate it: HOOKBUS_CREDS={operator} hookbus plugins")
    for name, why in bus.unbound.items():
        say_error(f"hookbus: plugin {name!r} is not asked: {why}")
    for name in bus.absent:
        say_error(f"hookbus: {absent(name)}")
    if as_json:
        ready = {
            "nats_url": bus.nats_url,
            "http_url": bus.http_url,
            "pid": bus.pid,
            "creds": str(operator) if operator else None,
        }
        line = msgspec.json.encode(ready).decode()
    else:
        line = (
            f"hookbus is ready at {bus.nats_url} (health: {bus.http_url}/readyz); ctrl-C stops it"
        )
    print(line, flush=True)
