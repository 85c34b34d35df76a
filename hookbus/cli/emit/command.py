"""`hookbus emit`: send one event and show what the bus decides."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hookbus.attributes import check_timeout
from hookbus.cli.broker_url import broker_url
from hookbus.cli.emit.many import Sending, emit_many
from hookbus.cli.errors import BLOCKED_BY_VERDICT, BLOCKED_OTHERWISE, DONE, UsageError
from hookbus.cli.operating import print_json
from hookbus.cli.payload import read_payload
from hookbus.cli.render import render_decision
from hookbus.config.connection import connection_from, nats_options
from hookbus.emitter import Emitter
from hookbus.errors import InvalidOption, PublishDenied
from hookbus.loop import run
from hookbus.models import Decision

DEFAULT_SOURCE: Final = "/cli"
DEFAULT_CONCURRENCY: Final = 16


def register(app: typer.Typer) -> None:
    app.command("emit")(emit)


def emit(
    type: Annotated[
        str | None, typer.Argument(help="The event type, such as message_received.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="The payload; - reads it from stdin."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|-", help="Send many: one JSON event a line."),
    ] = None,
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
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="With --from: no fresh ids in place of those given.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="With --from: events at the same time.")
    ] = DEFAULT_CONCURRENCY,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="With --from and --json: payloads, too.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="The broker; default HOOKBUS_NATS_URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Send one event and print the decision; or all events of a file, and a summary.

    Exit codes: 0 continue or intercept, 2 invalid, 3 blocked by a verdict, 4 blocked for another
    cause, 5 nothing could be decided. With --from: 5 if any line could not be decided, else 2 if
    any is no event, else 0, whatever was decided.

    Example: hookbus emit message_received --data '{"text": "hi"}'

    Example: hookbus emit --from events.jsonl --dry-run
    """
    logging.basicConfig(level=logging.ERROR, format="hookbus: %(message)s", stream=sys.stderr)
    try:
        check_timeout(timeout, "--timeout")
    except InvalidOption as e:
        raise UsageError(str(e)) from e
    if file is not None:
        if not (type is data is subject is id is None):
            raise UsageError("emit: with --from, type, data, subject and id are in the lines")
        sending = Sending(
            _text("--source", source), timeout, dry_run, keep_ids, concurrency, as_json, with_data
        )
        raise typer.Exit(emit_many(url, file, sending))
    if type is None or data is None:
        raise UsageError("emit: expected TYPE and --data, or --from; see 'hookbus emit --help'")
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
        broker_url(url, connection),
        source=source,
        principal=connection.principal,
        timeout=None,
        options=nats_options(connection),
    ) as bus:
        try:
            return await bus.emit(type, data, **options)
        except PublishDenied as e:
            raise PublishDenied(
                f"{e}; {connection.kind or 'nobody'} {connection.principal!r} may not emit it:"
                " take an emitter's credentials ('hookbus credentials create emitter NAME')"
            ) from e


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
