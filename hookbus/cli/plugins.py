"""`hookbus plugins`: what is bound and who answers; take a plugin out, let it in again."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus import subjects
from hookbus.cli.errors import FOUND, fail
from hookbus.cli.printable import clean
from hookbus.config.connection import connection_from
from hookbus.control import request
from hookbus.loop import run
from hookbus.transport import NatsTransport, Transport

OPERATOR = "operator"
IN_FORCE_TIMEOUT_MS = 5_000
QUIET = "dim"

Url = Annotated[str | None, typer.Option(help="The broker.  [default: HOOKBUS_NATS_URL]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The plugin's name.")]

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List the plugins, or change what is bound.")
    group.callback(invoke_without_command=True)(plugins)
    group.command("remove")(remove)
    group.command("approve")(approve)
    app.add_typer(group, name="plugins")


def plugins(context: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """List the plugins, their hooks and how many replicas answer."""
    if context.invoked_subcommand is not None:
        return
    listed = _ask(url, lambda transport, who: request(transport, who, "list"))
    if as_json:
        print(msgspec.json.encode(listed).decode(), flush=True)
    else:
        _show(listed, Console())


def remove(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Take a plugin out, until it is approved again; nothing asks it any more."""
    _change("remove", name, url, as_json=as_json)


def approve(name: Name, url: Url = None, as_json: Json = False) -> None:
    """Let a plugin in again that was removed."""
    _change("approve", name, url, as_json=as_json)


def _change(operation: str, name: str, url: str | None, *, as_json: bool) -> None:
    async def change(transport: Transport, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
        made = await request(transport, who, operation, plugin=name)
        served = await request(
            transport,
            who,
            "wait_generation",
            generation=made["generation"],
            timeout_ms=IN_FORCE_TIMEOUT_MS,
        )
        return served, await request(transport, who, "list")

    served, listed = _ask(url, change)
    if as_json:
        print(msgspec.json.encode(served).decode(), flush=True)
    else:
        print(f"{operation}d {name}; in force since generation {served['generation']}")
    found = next((p for p in listed["plugins"] if p["plugin"] == name), None)
    if operation == "approve" and found is not None and found["state"] != "bound":
        fail(f"{name} is still not asked: {_why_not(found)}", FOUND)


def _ask(url: str | None, question: Callable[[Transport, str], Awaitable[T]]) -> T:
    """Connect, ask, and close. The error of a bus that cannot be reached says what to do."""
    logging.basicConfig(level=logging.ERROR, format="hookbus: %(message)s", stream=sys.stderr)

    async def ask() -> T:
        connection = connection_from()
        who = OPERATOR if connection.principal == subjects.ANONYMOUS else connection.principal
        transport = await NatsTransport.connect(url or connection.nats_url, principal=who)
        try:
            return await question(transport, who)
        finally:
            await transport.close()

    return run(ask())


def _show(listed: dict[str, Any], console: Console) -> None:
    if not listed["plugins"]:
        console.print(
            "no plugin is bound; start one that connects to this bus, or see 'hookbus up'"
        )
        return
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for heading in ("plugin and hooks", "version, type"):
        table.add_column(heading, overflow="fold")
    for heading in ("phase", "priority", "mode", "up"):
        table.add_column(heading, justify="right" if heading in ("priority", "up") else "left")
    for plugin in listed["plugins"]:
        _add_rows(table, plugin)
    console.print(table)
    for plugin in listed["plugins"]:
        if what := _advice(plugin):
            console.print(what)


def _add_rows(table: Table, plugin: dict[str, Any]) -> None:
    is_absent = plugin["state"] == "bound" and not plugin["replicas"]
    name = Text(clean(plugin["plugin"]), "bold red" if is_absent else "bold")
    version = Text(clean(plugin["version"] or "?"), QUIET)
    state = Text("" if plugin["state"] == "bound" else plugin["state"], "yellow")
    up = Text(str(len(plugin["replicas"])), "bold red" if is_absent else "green")
    table.add_row(name, version, state, "", "", up)
    for hook in plugin["hooks"]:
        table.add_row(
            f"  {clean(hook['name'])}",
            clean(hook["type"]),
            hook["phase"],
            str(hook["priority"]),
            Text(hook["mode"], "" if hook["mode"] == "enforce" else "yellow"),
        )


def _advice(plugin: dict[str, Any]) -> Text | None:
    """Say what to do about a plugin that is not as it should be."""
    name = clean(plugin["plugin"])
    if plugin["state"] != "bound":
        return Text.assemble((name, "bold yellow"), f" is not asked: {_why_not(plugin)}")
    if not plugin["replicas"]:
        return Text.assemble(
            (name, "bold red"),
            " is bound, but nothing answers, so what it is asked fails;"
            f" start it, or run 'hookbus plugins remove {name}'",
        )
    return None


def _why_not(plugin: dict[str, Any]) -> str:
    return clean(plugin["problem"] or "nothing in the settings binds it")
