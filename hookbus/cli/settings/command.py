"""`hookbus settings`: every value and where it comes from; check a file, put one in force."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hookbus.cli.errors import FOUND, UsageError
from hookbus.cli.operating import QUIET, Json, Url, ask, print_json, wait_served, warn_of_absent
from hookbus.cli.overrides import lines, overrides_in_force
from hookbus.cli.printable import clean, compact, shorten
from hookbus.cli.settings.difference import MAX_VALUE, show_difference, table_of
from hookbus.cli.settings.file import (
    is_for_production,
    read_file,
    rows_of,
    to_apply,
    to_be_announced,
    to_toml,
)
from hookbus.cli.settings.history import history
from hookbus.cli.types.view import show_changes
from hookbus.config.schema import settings_schema
from hookbus.config.settings import DEFAULT_ORIGIN, Settings
from hookbus.operations import request
from hookbus.registry.policy import Overrides
from hookbus.registry.type_changes import type_changes
from hookbus.transport import Transport

File = Annotated[Path, typer.Argument(metavar="FILE", help="A settings file (TOML).")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Show the settings, check a file, put one in force.\n\nExample: hookbus settings"
    )
    group.callback(invoke_without_command=True)(settings)
    group.command("check")(check)
    group.command("apply")(apply)
    group.command("schema")(schema)
    group.command("history")(history)
    group.command("rollback")(rollback)
    app.add_typer(group, name="settings")


def settings(
    context: typer.Context,
    as_file: Annotated[
        bool, typer.Option("--as-file", help="Print a file that gives the same settings.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show every setting with its origin, and what operators have overridden.

    An origin is default, a file, an environment variable of the registry, or who applied it.
    """
    if context.invoked_subcommand is not None:
        return
    said, listed = ask(url, _look)
    overrides = overrides_in_force(said, time.time())
    if as_json:
        print_json({**said, "overrides": overrides})
    elif as_file:
        for line in lines(overrides):
            print(f"# not a setting: {line}")
        print("\n".join(to_toml(rows_of(said, listed))), flush=True)
    else:
        _show(said, overrides, Console())


def check(file: File, as_json: Json = False) -> None:
    """Check a settings file; no bus is needed.

    Exit codes: 2 it cannot be used, 1 it is for production and says a hook's type or phase not
    itself, so that a registry starts only if the plugin has announced them before.

    Example: hookbus settings check hookbus.toml
    """
    settings = read_file(file)
    missing = to_be_announced(settings)
    narrowed = [c for c in type_changes(Settings(), settings) if c.verdict != "compatible"]
    if as_json:
        name = str(file).encode(errors="replace").decode()  # a path may be any bytes
        problems = [{"at": p.at, "message": p.message} for p in missing]
        print_json({"file": name, "problems": problems, "types": msgspec.to_builtins(narrowed)})
    else:
        if missing:
            print(settings.origins.report(missing))
        if narrowed:
            print("compared with the types that are built in:")
            show_changes(msgspec.to_builtins(narrowed), Console())
        print(f"{file} can be used")
    if missing and is_for_production(settings):
        raise typer.Exit(FOUND)


def schema(
    as_json: Annotated[bool, typer.Option("--json", help="Print it on one line.")] = False,
) -> None:
    """Print the JSON Schema of a settings file, for editors; no bus is needed.

    With a first line such as "#:schema ./hookbus.schema.json" in hookbus.toml, editors with a TOML
    language server (taplo: Even Better TOML) complete, explain and check what you write.

    Example: hookbus settings schema
    """
    made = settings_schema()
    if as_json:
        print_json(made)
    else:
        print(json.dumps(made, indent=2, ensure_ascii=False), flush=True)


def apply(
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put the settings of a file in force in place of all that are in force now.

    What the file does not say is the default again; only the mode stays if it names none. Equal
    settings change nothing. Overrides stay, and are listed. Refused where a file owns the bus.

    Example: hookbus settings apply hookbus.toml --dry-run
    """
    tree = to_apply(read_file(file))
    if "plugins" not in tree and not dry_run:
        ask(url, lambda transport, who: _demand_plugins(transport, who, file))
    made = _change(url, "apply", settings=tree, dry_run=dry_run)
    if as_json:
        print_json(made)
        return
    _show_change(made)
    if made["generation"] is None:
        print("nothing was applied: dry run")
    else:
        print(f"applied {file}; in force since generation {made['generation']}")
        listed = ask(url, lambda transport, who: request(transport, who, "list"))
        warn_of_absent(listed["plugins"])


async def _demand_plugins(transport: Transport, who: str, file: Path) -> None:
    """See that a file that is empty, or cut, takes no guard away."""
    values = {r["key"]: r["value"] for r in (await request(transport, who, "settings"))["settings"]}
    named = any(key.startswith("plugins.") and ".hooks." in key for key in values)
    if named and values.get("mode") == "production":
        raise UsageError(
            f"{file}: names no plugin, and the settings in force do: is it whole?"
            " If nobody is to be asked any more, write: plugins = {}"
        )


def rollback(
    generation: Annotated[int, typer.Argument(min=1, help="A number of 'settings history'.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put the settings of an earlier generation in force again.

    Overrides are no settings: they stay, and are listed. Refused where a file owns the bus.

    Example: hookbus settings rollback 12
    """
    made = _change(url, "rollback", generation=generation)
    if as_json:
        print_json(made)
        return
    _show_change(made)
    print(f"the settings of {generation} are in force again, as generation {made['generation']}")


def _change(url: str | None, operation: str, **members: Any) -> dict[str, Any]:
    async def change(transport: Transport, who: str) -> dict[str, Any]:
        made = await request(transport, who, operation, **members)
        if made["generation"] is not None:
            await wait_served(transport, who, made["generation"])
        return made

    return ask(url, change)


async def _look(transport: Transport, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return await request(transport, who, "settings"), await request(transport, who, "list")


def _show(said: dict[str, Any], overrides: Overrides, console: Console) -> None:
    table = table_of("setting", "value", "from")
    for row in said["settings"]:
        style = QUIET if row["origin"] == DEFAULT_ORIGIN else ""
        cells = row["key"], shorten(compact(row["value"]), MAX_VALUE), row["origin"]
        table.add_row(*(Text(clean(cell), style) for cell in cells))
    console.print(table)
    for line in lines(overrides):
        console.print(Text(f"* {line}", "yellow"))
    if said["owner"] is not None:
        console.print(Text(f"{clean(said['owner'])} owns the settings: they change with it"))
    if not said["applied"]:
        console.print("no settings are applied yet; next: hookbus settings apply FILE")


def _show_change(made: dict[str, Any]) -> None:
    """Show what other settings change, and what wins over them."""
    console = Console()
    show_difference(made["difference"], console)
    show_changes([c for c in made["types"] if c["verdict"] != "compatible"], console)
    for line in lines(overrides_in_force(made, time.time())):
        console.print(Text(f"* stays: {line}", "yellow"))
