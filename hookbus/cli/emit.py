"""`hookbus emit`: send one event and show what the bus decides."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hookbus.attributes import check_timeout
from hookbus.cli.broker_url import broker_url
from hookbus.cli.errors import BLOCKED_BY_VERDICT, BLOCKED_OTHERWISE, DONE, UsageError
from hookbus.cli.operating import print_json
from hookbus.cli.payload import read_payload
from hookbus.cli.render import render_decision
from hookbus.config.connection import connection_from
from hookbus.emitter import Emitter
from hookbus.errors import InvalidOption
from hookbus.loop import run
from hookbus.models import Decision

DEFAULT_SOURCE: Final = "/cli"


def register(app: typer.Typer) -> None:
    app.command("emit")(emit)


def emit(
    type: Annotated[str, typer.Argument(help="The event type, such as message_received.")],
    data: Annotated[
        str, typer.Option(metavar="JSON|@FILE|-", help="The payload; - reads it from stdin.")
    ],
    timeout: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds to wait; else the bus decides.")
    ] = None,
    source: Annotated[str, typer.Option(help="The CloudEvents source.")] = DEFAULT_SOURCE,
    subject: Annotated[str | None, typer.Option(help="The CloudEvents subject.")] = None,
    id: Annotated[
        str | None, typer.Option(help="The event's id; a fresh one if not given.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask, but let nothing in the world change.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="The broker; default HOOKBUS_NATS_URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Send one event and print the decision.

    Exit codes: 0 continue or intercept, 2 invalid, 3 blocked by a verdict, 4 blocked for another
    cause, 5 nothing could be decided.
    """
    logging.basicConfig(level=logging.ERROR, format="hookbus: %(message)s", stream=sys.stderr)
    try:
        check_timeout(timeout, "--timeout")
    except InvalidOption as e:
        raise UsageError(str(e)) from e
    payload = read_payload(data)
    source = _text("--source", source)
    given = {"subject": subject, "id": id}
    attributes = {
        name: _text(f"--{name}", value) for name, value in given.items() if value is not None
    }
    decision = run(
        _emit(url, source, type, payload, timeout=timeout, dry_run=dry_run, **attributes)
    )
    if as_json:
        print_json(decision)
    else:
        Console().print(render_decision(decision, payload))
    raise typer.Exit(_exit_code(decision))


async def _emit(url: str | None, source: str, type: str, data: Any, **options: Any) -> Decision:
    connection = connection_from()
    async with Emitter.connect(
        broker_url(url, connection), source=source, principal=connection.principal, timeout=None
    ) as bus:
        return await bus.emit(type, data, **options)


def _text(option: str, value: str) -> str:
    """Check what becomes a text of the event."""
    if not value:
        raise UsageError(f"{option}: expected a text, got none")
    try:
        value.encode()
    except UnicodeError as e:  # an argument may be any bytes
        raise UsageError(f"{option}: expected UTF-8, got {value!a}") from e
    return value


def _exit_code(decision: Decision) -> int:
    if decision.outcome != "block":
        return DONE
    return BLOCKED_BY_VERDICT if decision.cause == "verdict" else BLOCKED_OTHERWISE
