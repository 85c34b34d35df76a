"""`hookbus types add`: a schema file put in force, or only looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hookbus import subjects
from hookbus.cli.changes import changes
from hookbus.cli.errors import FOUND, UsageError, fail
from hookbus.cli.operating import QUIET, Json, Url, ask, print_json, wait_served
from hookbus.cli.settings.file import type_as_toml
from hookbus.cli.types.view import show_changes
from hookbus.errors import ControlError
from hookbus.manifest.problems import join
from hookbus.operations import request
from hookbus.schemas.problems import check_schema
from hookbus.transport import Transport
from hookbus.wire.limits import NOT_JSON

_ENDINGS: Final = (".json", ".schema")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A JSON Schema (2020-12); - is stdin.")]
TypeName = Annotated[
    str | None,
    typer.Option("--type", help="Which type it is; else the file's name, without its ending."),
]


def add(
    file: File,
    type: TypeName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also if events that fitted may be refused.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make an event type known, or give it another schema; all other settings stay.

    The type is the file's name: order_placed.json and order_placed.schema.json are order_placed.
    Exit code 1: not added, because events that fitted are refused, or nobody can tell.

    Example: hookbus types add order_placed.json --dry-run
    """
    name = _name(file, type)
    schema = _read(file)
    made = ask(url, lambda transport, who: _add(transport, who, name, schema, dry_run, force))
    is_safe = all(change["verdict"] == "compatible" for change in made["types"])
    if as_json:
        print_json(made)
    else:
        _show(made, name)
        if made["generation"] is not None:
            print(f"added {name}; in force since generation {made['generation']}")
            print(f"next: hookbus types {name}")
        elif dry_run:
            print("nothing was added: dry run")
            if made["owner"] is not None:
                print(_for_owner(made["owner"], name, schema))
    if made["generation"] is None and not dry_run:
        fail(f"{name} is not added; add --force to do it all the same", FOUND)
    if dry_run and not is_safe:
        raise typer.Exit(FOUND)


async def _add(
    transport: Transport, who: str, name: str, schema: dict[str, Any], dry_run: bool, force: bool
) -> dict[str, Any]:
    try:
        made = await request(
            transport, who, "add_type", type=name, schema=schema, dry_run=dry_run, force=force
        )
    except ControlError as e:
        if e.code == "owned":
            raise UsageError(f"{e}\n{_for_owner('that file', name, schema)}") from e
        raise
    if made["generation"] is not None:
        await wait_served(transport, who, made["generation"])
    return made


def _for_owner(owner: str, name: str, schema: dict[str, Any]) -> str:
    return f"write in {owner}:\n\n{type_as_toml(name, schema)}"


def _show(made: dict[str, Any], name: str) -> None:
    console = Console()
    key = join("types", name, "schema")
    change = next((c for c in made["difference"] if c["key"] == key), None)
    if change is None:
        console.print("no setting changes")
    elif not made["types"]:
        console.print(f"{name} is new to this bus, which refused all events of it so far")
    elif change["before"] is not None:
        for path, lines in changes(change["before"], change["after"]):
            for line in (Text(path, QUIET), *lines):
                console.print(line)
    show_changes(made["types"], console)


def _name(file: Path, said: str | None) -> str:
    name = said
    if name is None:
        if not file.name.endswith(_ENDINGS[0]):
            raise UsageError(
                f"{str(file)!r}: expected TYPE.json or TYPE.schema.json; or say --type"
            )
        name = file.name
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
    if not subjects.is_event_type(name):
        where = "--type" if said is not None else f"the name of {str(file)!r}"
        raise UsageError(
            f"{where}: {name!r} is no event type: expected words like order_placed, up to five of"
            " them joined by dots" + ("" if said is not None else "; or say --type")
        )
    return name


def _read(file: Path) -> dict[str, Any]:
    """Read and check a schema.

    Raises:
        UsageError: With all that is wrong.
    """
    where = "stdin" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        schema = msgspec.json.decode(raw)
    except OSError as e:
        raise UsageError(f"{where}: cannot be read: {e.strerror}") from e
    except NOT_JSON as e:
        raise UsageError(f"{where}: expected a JSON Schema: {e}") from e
    if not isinstance(schema, dict):
        raise UsageError(f"{where}: expected a JSON Schema, an object")
    if problems := check_schema(schema, where):
        raise UsageError("\n".join(map(str, problems)))
    return schema
