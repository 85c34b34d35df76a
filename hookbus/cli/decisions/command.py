"""`hookbus decisions`: what was decided, and what is being decided; `explain` says why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console

from hookbus import subjects
from hookbus.cli.decisions.explain import explain
from hookbus.cli.decisions.rows import Rows
from hookbus.cli.errors import UsageError
from hookbus.cli.moments import parse_since
from hookbus.cli.operating import Url, ask, print_json
from hookbus.cli.streams import say_error
from hookbus.decision_log.follow import Follower
from hookbus.decision_log.reader import NatsStreamReader
from hookbus.decision_log.records import Recorded, Wanted, to_builtins
from hookbus.decision_log.search import every, newest
from hookbus.models import Outcome
from hookbus.transport import NatsTransport

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100_000  # that are kept in memory; 0 keeps none


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List what was decided, follow it live, explain one decision."
        "\n\nExample: hookbus decisions --outcome block --since 1h"
    )
    group.callback(invoke_without_command=True)(decisions)
    group.command("explain")(explain)
    app.add_typer(group, name="decisions")


def decisions(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option(metavar="1h|MOMENT", help="Not older: 30m, 7d, or ISO 8601.")
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only this outcome.")] = None,
    plugin: Annotated[str | None, typer.Option(help="Only where this plugin had its say.")] = None,
    type: Annotated[
        str | None, typer.Option(help="Only this event type, or pattern: 'chat.*'.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only this trace id.")] = None,
    limit: Annotated[
        int,
        typer.Option(min=0, max=MAX_LIMIT, help="The newest N; 0 is all, oldest first."),
    ] = DEFAULT_LIMIT,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is decided now, until ctrl-C.")
    ] = False,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List recorded decisions, the newest last.

    An id may be given to 'hookbus decisions explain' as it is shown, in short, too.

    Example: hookbus decisions --since 1h --outcome block --plugin guard-tools
    """
    if context.invoked_subcommand is not None:
        return
    if type is not None and not subjects.is_type_pattern(type):
        raise UsageError(f"--type: expected an event type or a pattern of them, got {type!r}")
    begin = None if since is None else parse_since(since, datetime.now(UTC))
    wanted = Wanted(outcome, type, plugin, source, trace.lower() if trace else None)
    tell = print_record if as_json else _printer(Console())

    async def look(transport: NatsTransport, who: str) -> None:
        await _list(transport, wanted, begin, limit, tell, is_followed=follow)

    ask(url, look)


async def _list(
    transport: NatsTransport,
    wanted: Wanted,
    since: datetime | None,
    limit: int,
    tell: Callable[[Recorded], None],
    *,
    is_followed: bool,
) -> None:
    reader = NatsStreamReader(transport, subjects.DECISIONS_STREAM)
    follower = Follower(transport, reader, wanted, tell)
    if limit == 0:
        start = await every(reader, wanted, follower.tell, since)
    else:
        listing = await newest(reader, wanted, limit, since)
        start = listing.next
        for recorded in listing.decisions:
            follower.tell(recorded)
        if listing.is_cut:
            say_error(f"hookbus: older ones are left out; --limit shows more than {limit}")
        elif not listing.decisions and not is_followed:
            say_error(f"hookbus: no decision like that; {await _holding(reader)}")
    if is_followed:
        await follower.run(start)


async def _holding(reader: NatsStreamReader) -> str:
    return (await reader.extent()).described


def _printer(console: Console) -> Callable[[Recorded], None]:
    rows = Rows(console.width)

    def tell(recorded: Recorded) -> None:
        for line in rows.lines(recorded):
            console.print(line)
        sys.stdout.flush()

    return tell


def print_record(recorded: Recorded) -> None:
    """Print one decision as it was recorded, with the time of that."""
    print_json(to_builtins(recorded))
