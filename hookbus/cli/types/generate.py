"""`hookbus types generate`: models of event types, for handlers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hookbus.catalog import BUILT_IN
from hookbus.cli.errors import UsageError
from hookbus.cli.operating import Json, Url, ask, print_json
from hookbus.cli.settings.file import read_file
from hookbus.cli.types.python_models import python_models
from hookbus.operations import request
from hookbus.registry.type_changes import schemas
from hookbus.registry.type_views import unknown_type

Schemas = dict[str, Mapping[str, Any] | None]


def generate(
    types: Annotated[
        list[str] | None,
        typer.Argument(metavar="TYPE", help="Event types; else all that are not built in."),
    ] = None,
    python: Annotated[bool, typer.Option("--python", help="As pydantic models.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file to write; else stdout.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Take the types of a settings file; no bus is needed.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write models of event types, for handlers: HookEvent[OrderPlaced].

    They take all that the schemas take. The same types give the same text.

    Example: hookbus types generate --python --output events.py order_placed
    """
    if not python:
        raise UsageError("expected --python: it is the only language yet")
    known: Schemas = _on_bus(url) if settings is None else dict(schemas(read_file(settings)))
    chosen = _chosen(known, types or [])
    text = python_models(chosen)
    if output is not None:
        _write(output, text)
    if as_json:
        print_json({"types": sorted(chosen), "file": output and str(output), "python": text})
    elif output is None:
        print(text, end="", flush=True)
    else:
        print(f"wrote {output}: {', '.join(sorted(chosen))}")


def _on_bus(url: str | None) -> Schemas:
    said = ask(url, lambda transport, who: request(transport, who, "types"))
    return {view["name"]: view["schema"] for view in said["types"]}


def _chosen(known: Schemas, wanted: list[str]) -> Schemas:
    if not wanted:
        # of the built-in ones as they are the library has models
        own = {name: schema for name, schema in known.items() if schema != BUILT_IN.get(name, 0)}
        if not own:
            raise UsageError(
                "there are no types but the built-in ones, whose models are in hookbus;"
                " next: hookbus types add FILE, or name a TYPE"
            )
        return own
    for name in wanted:
        if name not in known:
            raise unknown_type(name, known)
    return {name: known[name] for name in wanted}


def _write(file: Path, text: str) -> None:
    """Replace the file as a whole: who imports it meanwhile reads the old or the new one."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{file}: cannot be written: {e.strerror}") from e
