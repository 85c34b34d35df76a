"""`hookbus top`: what the bus does now, and what is wrong with it, live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from hookbus import presence, subjects
from hookbus.cli.operating import Json, Url, ask, print_json
from hookbus.cli.top.figures import Figures, Sample, figures, sample_of
from hookbus.cli.top.view import render_top
from hookbus.errors import ControlError, PublishDenied, TransportError
from hookbus.operations import request
from hookbus.transport import NatsTransport

INTERVAL: Final = 2.0  # seconds
WINDOW: Final = 0.2  # seconds to collect answers
LIST_TIMEOUT: Final = 3.0  # seconds; a registry that hangs must not hide the rest


def register(app: typer.Typer) -> None:
    app.command("top")(top)


def top(
    once: Annotated[bool, typer.Option("--once", help="Show one picture and end.")] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600.0, metavar="S", help="Seconds between pictures.")
    ] = INTERVAL,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what the bus does now: events, outcomes, failures, times, plugins; and what is wrong.

    It ends with ctrl-C. Without a terminal, and with --json, each picture follows the last one.

    Example: hookbus top --once --json
    """
    console = Console()

    async def watch(transport: NatsTransport, who: str) -> None:
        with ExitStack() as stack:
            show = _shower(stack, console, as_json=as_json, is_live=not once)
            before = await _look(transport, who)
            while True:
                await asyncio.sleep(interval)
                now = await _look(transport, who)
                show(figures(before, now))
                if once:
                    return
                before = now

    ask(url, watch)


def _shower(
    stack: ExitStack, console: Console, *, as_json: bool, is_live: bool
) -> Callable[[Figures], None]:
    if as_json:
        return lambda seen: print_json({"at": _now(), **msgspec.to_builtins(seen)})
    if not (is_live and console.is_terminal):
        return lambda seen: console.print(render_top(seen, _now()))
    live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
    live.update("looking …", refresh=True)
    return lambda seen: live.update(render_top(seen, _now()), refresh=True)


async def _look(transport: NatsTransport, who: str) -> Sample:
    """Ask everybody at once; while the broker is away nothing is seen, and that is said.

    Raises:
        PublishDenied: We may not ask.
    """
    at = time.monotonic()
    try:
        dispatchers, registries, (listed, problem) = await asyncio.gather(
            presence.ask(transport, "STATS", subjects.DISPATCHER_SERVICE, window=WINDOW),
            presence.ask(transport, "STATS", subjects.REGISTRY_SERVICE, window=WINDOW),
            _list(transport, who),
        )
    except PublishDenied:
        raise
    except TransportError as e:
        return Sample(at, {}, {}, None, str(e), is_blind=True)
    return sample_of(at, dispatchers, registries, listed, problem)


async def _list(transport: NatsTransport, who: str) -> tuple[dict[str, Any] | None, str | None]:
    """Ask the registry which plugins there are; or say why that is not known."""
    try:
        async with asyncio.timeout(LIST_TIMEOUT):
            return await request(transport, who, "list"), None
    except TimeoutError:
        return None, f"the registry did not answer within {LIST_TIMEOUT:g} s"
    except (ControlError, TransportError) as e:
        return None, str(e)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
