"""`hookbus plugins`: what is bound and who answers; take a plugin out, let it in again."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.backtest.command import backtest
from hookbus.cli.errors import FOUND, fail
from hookbus.cli.moments import parse_since
from hookbus.cli.operating import (
    QUIET,
    Json,
    Name,
    Url,
    ask,
    print_json,
    wait_served,
    warn_of_absent,
)
from hookbus.cli.overrides import lines, mode_override, overrides_in_force, unserved_hooks
from hookbus.cli.plugins.explain import explain_plugin
from hookbus.cli.plugins.mode import For, mode, parse_duration
from hookbus.cli.plugins.observers import observer_lines
from hookbus.cli.plugins.replay import replay, replayed, show_replay
from hookbus.cli.plugins.show import show
from hookbus.cli.printable import clean
from hookbus.operations import request
from hookbus.registry.policy import Overrides
from hookbus.transport import Transport


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List the plugins, or change what is bound.\n\nExample: hookbus plugins"
    )
    group.callback(invoke_without_command=True)(plugins)
    group.command("show")(show)
    group.command("explain")(explain_plugin)
    group.command("remove")(remove)
    group.command("approve")(approve)
    group.command("mode")(mode)
    group.command("backtest")(backtest)
    group.command("replay")(replay)
    app.add_typer(group, name="plugins")


def plugins(context: typer.Context, url: Url = None, as_json: Json = False) -> None:
    """List the plugins, their hooks and how many replicas answer."""
    if context.invoked_subcommand is not None:
        return
    listed, said = ask(url, _look)
    if as_json:
        print_json(listed)
    else:
        _show(listed, overrides_in_force(said, time.time()), Console())


def remove(name: Name, duration: For = None, url: Url = None, as_json: Json = False) -> None:
    """Take a plugin out, until it is approved again; nothing asks it any more.

    Example: hookbus plugins remove guard-tools --for 1h
    """
    _change("remove", name, duration, None, url, as_json=as_json)


def approve(
    name: Name,
    duration: For = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="1h|MOMENT", help="Show its observers what was stored since then."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a plugin in: one that was removed, an upgrade that waits, one that nobody named.

    Where a settings file owns the bus, only a removal is undone; what is bound says the file.

    Example: hookbus plugins approve guard-tools
    """
    moment = None if since is None else parse_since(since, datetime.now(UTC))
    _change("approve", name, duration, moment, url, as_json=as_json)


def _change(
    operation: str,
    name: str,
    duration: str | None,
    since: datetime | None,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    said = {} if duration is None else {"for_s": parse_duration(duration)}

    async def change(transport: Transport, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
        made = await request(transport, who, operation, plugin=name, **said)
        served = await wait_served(transport, who, made["generation"])
        if since is not None:
            served["replay"] = await replayed(transport, who, name, since)
        return served, await request(transport, who, "list")

    served, listed = ask(url, change)
    if as_json:
        print_json(served)
    else:
        print(f"{operation}d {name}; in force since generation {served['generation']}")
        if since is not None:
            show_replay(name, since, served["replay"])
    found = next((p for p in listed["plugins"] if p["plugin"] == name), None)
    if operation == "approve" and found is not None and found["state"] != "bound":
        fail(f"{name} is still not asked: {_why_not(found)}", FOUND)
    warn_of_absent([found] if found is not None else [])


async def _look(transport: Transport, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return await request(transport, who, "list"), await request(transport, who, "settings")


def _show(listed: dict[str, Any], overrides: Overrides, console: Console) -> None:
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
        _add_rows(table, plugin, overrides)
    console.print(table)
    for line in lines(Overrides(modes=overrides.modes)):  # a removal is said with its plugin
        console.print(Text(f"* {line}", "yellow"))
    for plugin in listed["plugins"]:
        for line in observer_lines(plugin):
            console.print(Text(line, "yellow"))
        if what := _advice(plugin):
            console.print(what)


def _add_rows(table: Table, plugin: dict[str, Any], overrides: Overrides) -> None:
    is_absent = plugin["state"] == "bound" and not plugin["replicas"]
    name = Text(clean(plugin["plugin"]), "bold red" if is_absent else "bold")
    version = Text(clean(plugin["version"] or "?"), QUIET)
    state = Text("" if plugin["state"] == "bound" else plugin["state"], "yellow")
    up = Text(str(len(plugin["replicas"])), "bold red" if is_absent else "green")
    table.add_row(name, version, state, "", "", up)
    for hook in plugin["hooks"]:
        mark = "*" if mode_override(overrides, plugin["plugin"], hook["name"]) else ""
        table.add_row(
            f"  {clean(hook['name'])}",
            clean(hook["type"]),
            hook["phase"],
            str(hook["priority"]),
            Text(hook["mode"] + mark, "" if hook["mode"] == "enforce" and not mark else "yellow"),
        )


def _advice(plugin: dict[str, Any]) -> Text | None:
    """Say what to do about a plugin that is not as it should be."""
    name = clean(plugin["plugin"])
    if plugin["state"] != "bound":
        return Text.assemble((name, "bold yellow"), f" is not asked: {_why_not(plugin)}")
    if not plugin["replicas"]:
        return Text.assemble(
            (name, "bold red"),
            " is bound, but nothing answers $SRV.PING: if it is down, what it is asked fails;"
            f" start it, or run 'hookbus plugins remove {name}'",
        )
    if silent := unserved_hooks(plugin):
        return Text.assemble(
            (name, "bold red"),
            f" {clean(plugin['version'] or '?')} does not serve {silent}, which is bound: what it"
            " is asked there fails; start a version that does, or change the settings",
        )
    if plugin["problem"]:
        return Text.assemble((name, "bold yellow"), f": a replica is refused: {_why_not(plugin)}")
    return None


def _why_not(plugin: dict[str, Any]) -> str:
    return clean(plugin["problem"] or "nothing in the settings binds it")
