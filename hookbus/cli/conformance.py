"""`hookbus conformance plugin NAME`: does a live plugin, in any language, keep the protocol?"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.errors import DONE, FOUND, UNDECIDED, UsageError, fail
from hookbus.cli.operating import QUIET, Json, Name, Url, ask, print_json
from hookbus.cli.printable import clean
from hookbus.config.connection import connection_from
from hookbus.conformance import (
    Finding,
    PluginAbsent,
    Report,
    Status,
    Wishes,
    examine_emitter,
    examine_plugin,
)
from hookbus.conformance.emitters.run import DEFAULT_DATA, DEFAULT_TYPE
from hookbus.keyvalue import NatsKeyValue
from hookbus.loop import run
from hookbus.subjects import CONFIG_BUCKET, is_event_type
from hookbus.transport import NatsTransport

DISPATCHER: Final = "dispatcher"

#: status → (sign, style); the words are in the summary, colours are only a help.
_BADGES: Final[dict[Status, tuple[str, str]]] = {
    "pass": ("✓", "green"),
    "fail": ("✗", "bold red"),
    "warn": ("!", "yellow"),
    "skipped": ("-", QUIET),
}


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Check that others keep the protocol.\n\nExample: hookbus conformance plugin NAME",
        no_args_is_help=True,
    )
    group.callback()(_conformance)
    group.command("plugin")(plugin)
    group.command("emitter")(emitter)
    app.add_typer(group, name="conformance")


def _conformance() -> None:
    """Check that others keep the protocol."""


def plugin(
    name: Name,
    hook: Annotated[
        str | None, typer.Option(metavar="HOOK", help="Only this hook of it; all if not given.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="A payload to try, for one hook.")
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop the plugin at the end, to see how it drains.")
    ] = False,
    pid: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="With --drain: its process; gets SIGTERM."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Check a plugin that is up over the protocol only, whatever it is written in.

    It is called as a dispatcher calls it, with dry runs; on a bus with authentication
    HOOKBUS_CREDS names a dispatcher's credentials.
    Exit codes: 0 every point passed, 1 one failed, 5 the plugin is not there.

    Example: hookbus conformance plugin guard-tools
    """
    if data is not None and hook is None:
        raise UsageError("conformance plugin: --data is for one hook; name it with --hook")
    payload = msgspec.UNSET if data is None else _payload(data)
    wishes = Wishes(hook=hook, data=payload, stop=_stopper(pid, is_wanted=drain))
    try:
        kind = _kind_of_credentials()
        report = ask(
            url,
            lambda transport, who: _examine(transport, who, name, wishes, kind),
            who=DISPATCHER,
        )
    except PluginAbsent as e:
        fail(str(e), UNDECIDED)
    _end(report, as_json=as_json)


def _kind_of_credentials() -> str | None:
    """Refuse those of others than dispatchers, whose every call would be left unanswered."""
    connection = connection_from()
    if connection.kind not in (None, DISPATCHER):
        raise UsageError(
            f"HOOKBUS_CREDS={str(connection.creds)!r} is of {connection.kind}"
            f" {connection.principal!r}; expected a dispatcher's: plugins answer nobody else"
        )
    return connection.kind


async def _examine(
    transport: NatsTransport, who: str, name: str, wishes: Wishes, kind: str | None
) -> Report:
    config = (
        await NatsKeyValue.open(transport, CONFIG_BUCKET, create=False)
        if kind == DISPATCHER
        else None
    )
    return await examine_plugin(transport, who, name, wishes, config=config)


def emitter(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="What runs the emitter; write -- before it."),
    ],
    event_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="The type of the events.")
    ] = DEFAULT_TYPE,
    data: Annotated[
        str, typer.Option(metavar="JSON", help="The data of the events.")
    ] = msgspec.json.encode(DEFAULT_DATA).decode(),
    as_json: Json = False,
) -> None:
    """Check an emitter over the protocol only, whatever it is written in.

    COMMAND is run once for each point, with HOOKBUS_NATS_URL and two more words,
    TYPE and JSON. It emits that event, and the last line that it prints is

      {"outcome": "continue", "data": …}

    with what it goes on with. The outcome is 'continue', 'intercept' or 'block'
    as decided, 'refused' if the bus refused the event (400), and 'unavailable'
    if there was no decision. On the broker nobody but this check answers.
    Exit codes: 0 every point passed, 1 one failed.

    Example: hookbus conformance emitter -- node emitter.mjs
    """
    if not is_event_type(event_type):
        raise UsageError(f"--type: expected a type such as tool_invoked, got {event_type!r}")
    logging.basicConfig(level=logging.CRITICAL)  # connections are lost on purpose
    try:
        report = run(examine_emitter(command, event_type, _payload(data)))
    except OSError as e:
        raise UsageError(f"{command[0]!r} cannot be started: {e.strerror}") from e
    _end(report, as_json=as_json)


def _end(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
    else:
        _show(report, Console())
    raise typer.Exit(DONE if report.is_conforming else FOUND)


def _payload(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise UsageError(f"--data: expected JSON: {e}") from e


def _stopper(pid: int | None, *, is_wanted: bool) -> Callable[[], None] | None:
    if is_wanted != (pid is not None):
        raise UsageError("conformance plugin: --drain and --pid go together")
    if pid is None:
        return None
    process = pid
    try:
        os.kill(process, 0)  # only asks whether we may
    except OSError as e:
        raise UsageError(f"--pid: process {process} cannot be stopped: {e.strerror}") from e
    return lambda: os.kill(process, signal.SIGTERM)


def _show(report: Report, console: Console) -> None:
    name = clean(report.name)
    version = f" {clean(report.version or '?')}" if report.kind == "plugin" else ""
    console.print(Text(f"{name}{version}", "bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    hook = None
    for finding in report.findings:
        if finding.hook != hook:
            hook = finding.hook
            table.add_row("", Text(f"{clean(hook or '')}", "bold"), Text(""))
        _add(table, finding)
    console.print(table)
    counts = "   ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    verdict = "conforms" if report.is_conforming else "does not conform"
    style = "bold green" if report.is_conforming else "bold red"
    console.print(Text(f"{name} {verdict}: {counts}", style))


def _add(table: Table, finding: Finding) -> None:
    sign, style = _BADGES[finding.status]
    said = Text.assemble(clean(finding.seen), "\n", (finding.rule, QUIET))
    table.add_row(Text(sign, style), Text(finding.point), said)
