"""An operator's connection from the command line: ask the registry, wait until it is served."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer

from hookbus import subjects
from hookbus.cli.broker_url import broker_url
from hookbus.cli.printable import clean
from hookbus.cli.streams import say_error
from hookbus.config.connection import connection_from, nats_options
from hookbus.loop import run
from hookbus.operations import request
from hookbus.transport import NatsTransport, Transport

OPERATOR: Final = "operator"
IN_FORCE_TIMEOUT_MS: Final = 5_000
QUIET: Final = "dim"

Url = Annotated[str | None, typer.Option(help="The broker; HOOKBUS_NATS_URL if not given.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The plugin's name.")]

T = TypeVar("T")


def ask(
    url: str | None, question: Callable[[NatsTransport, str], Awaitable[T]], *, who: str = OPERATOR
) -> T:
    """Connect, ask, and close; *who* we are unless the environment names a principal.

    Raises:
        ConnectFailed: The broker cannot be reached; the message says what to do.
    """
    logging.basicConfig(level=logging.ERROR, format="hookbus: %(message)s", stream=sys.stderr)

    async def connected() -> T:
        connection = connection_from()
        is_named = connection.principal != subjects.ANONYMOUS
        principal = connection.principal if is_named else who
        server = broker_url(url, connection)
        transport = await NatsTransport.connect(
            server, principal=principal, options=nats_options(connection)
        )
        try:
            return await question(transport, principal)
        finally:
            await transport.close()

    return run(connected())


async def wait_served(transport: Transport, who: str, generation: int) -> dict[str, Any]:
    """Return once every dispatcher serves *generation*."""
    return await request(
        transport, who, "wait_generation", generation=generation, timeout_ms=IN_FORCE_TIMEOUT_MS
    )


def print_json(value: Any) -> None:
    """Print one JSON object on a line; it is UTF-8 whatever the terminal's encoding."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.flush()


def warn_of_absent(plugins: Iterable[dict[str, Any]]) -> None:
    """Say on stderr which of the listed plugins are bound, and nobody answers for them."""
    for plugin in plugins:
        if plugin["state"] == "bound" and not plugin["replicas"]:
            say_error(f"hookbus: {absent(clean(plugin['plugin']))}")


def absent(name: str) -> str:
    """Say what it means that nobody answers for a bound plugin, and what to do."""
    return (
        f"plugin {name!r} is bound, but no replica answers: what it is asked fails;"
        f" start it, or run 'hookbus plugins remove {name}'"
    )
