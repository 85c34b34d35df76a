"""The command itself: look at everything, print a line for each, and say what to do next."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.broker_url import broker_url
from hookbus.cli.doctor import greeting, machine
from hookbus.cli.doctor.finding import Finding, Status, ok, problem, unknown
from hookbus.cli.doctor.plugins import judge_plugins
from hookbus.cli.doctor.roles import judge_roles
from hookbus.cli.doctor.storage import judge_storage
from hookbus.cli.doctor.view import look
from hookbus.cli.errors import FOUND, UsageError
from hookbus.cli.operating import QUIET, Json, Url, ask, print_json
from hookbus.cli.printable import clean
from hookbus.config.connection import Connection, connection_from, default_data_dir
from hookbus.errors import HookbusError, SettingsError
from hookbus.loop import run

#: status → (word, style)
_WORDS: Final[dict[Status, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "problem": ("problem", "bold red"),
    "unknown": ("cannot tell", "yellow"),
}
_PORTS: Final = ((4222, "'hookbus up --port N'"), (8080, "--http-port N, or --http of 'serve'"))
_OF_THE_BUS: Final = ("registry", "dispatcher", "plugins", "streams")


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; default ./hookbus.toml.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong here and on the bus, and say what to do next.

    It only looks: nothing is changed, and no event is sent. Exit codes: 0 no problem, 1 one.

    Example: hookbus doctor --url nats://127.0.0.1:4222
    """
    findings = list(examine(url, settings, os.environ))
    is_well = all(finding.status != "problem" for finding in findings)
    if as_json:
        print_json({"ok": is_well, "checks": findings})
    else:
        _show(findings, Console())
    if not is_well:
        raise typer.Exit(FOUND)


def examine(url: str | None, file: Path | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at this computer, then at the broker, then at the bus on it, as far as one comes."""
    yield from machine.on_this_machine(environ, file)
    try:
        connection = connection_from(environ)
        server = broker_url(url, connection)
    except UsageError as e:
        yield problem("broker", str(e), "correct the URL")
        connection = None
    except SettingsError:  # told as a problem of the environment
        connection = None
    greetings = [] if connection is None else run(_greet(server))
    if connection is not None:
        yield from greeting.judge(greetings, connection)
    is_bus_up = any(one.info is not None for one in greetings)
    yield from _around(is_bus_up, environ)
    if connection is not None and is_bus_up:
        yield from _on_the_bus(url, greetings, connection)
    else:
        for check in _OF_THE_BUS:
            yield unknown(check, "no broker could be asked")
        yield machine.clock(time.time(), [Path(machine.__file__)])


async def _greet(server: str) -> list[greeting.Greeting]:
    servers = [one.strip() for one in server.split(",")]
    return list(await asyncio.gather(*map(greeting.greet, servers)))


def _around(is_bus_up: bool, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What `hookbus up` would need here; who reaches a broker does not need it."""
    if is_bus_up:
        yield ok("ports", "a broker answers, so none is needed")
    else:
        yield from (machine.port(number, option) for number, option in _PORTS)
    yield machine.data_directory(default_data_dir(environ), is_bus_up=is_bus_up)


def _on_the_bus(
    url: str | None, greetings: list[greeting.Greeting], connection: Connection
) -> Iterator[Finding]:
    wants_login = any(one.info and one.info.get("auth_required") for one in greetings)
    try:
        view = ask(url, look)
    except HookbusError as e:
        said, _, next_ = str(e).partition("; ")
        if wants_login and connection.creds is None:
            next_ = "set HOOKBUS_CREDS to a file that 'hookbus credentials create' made"
        yield problem("login", said, next_ or "see the server's log")
        for check in _OF_THE_BUS:
            yield unknown(check, "the broker let nobody in who could ask")
        return
    yield ok("login", "the broker lets us in" + ("" if wants_login else " without credentials"))
    yield from judge_roles(view)
    yield from judge_plugins(view, time.time())
    yield from judge_storage(view)


def _show(findings: list[Finding], console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        word, style = _WORDS[finding.status]
        said = Text(clean(finding.said))
        if finding.next is not None:
            said.append(f"\n→ {clean(finding.next)}", style="bold")
        table.add_row(Text(word, style), Text(finding.check), said)
    console.print(table)
    wrong = sum(finding.status == "problem" for finding in findings)
    summary = "no problem found" if not wrong else f"{wrong} problem{'s' if wrong > 1 else ''}"
    console.print(Text(summary, "bold red" if wrong else f"bold {QUIET}"))
