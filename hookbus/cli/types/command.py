"""`hookbus types`: which event types there are, what their data is, and who is asked about them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from hookbus.cli.name_group import NameGroup
from hookbus.cli.operating import Json, Url, ask, print_json
from hookbus.cli.types.add import add
from hookbus.cli.types.generate import generate
from hookbus.cli.types.view import example_of, show_type, show_types
from hookbus.operations import request
from hookbus.transport import Transport


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=NameGroup,
        help="List the event types, or show one: its schema, who is asked, how to emit it."
        "\n\nExample: hookbus types message_received",
    )
    group.callback(invoke_without_command=True)(types)
    group.command("add")(add)
    group.command("generate")(generate)
    app.add_typer(group, name="types")


def types(
    context: typer.Context,
    type: Annotated[str, typer.Argument(metavar="TYPE", help="An event type.")] = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the event types, or show one: its schema, who is asked, how to emit it."""
    if context.invoked_subcommand is not None:
        return
    said = ask(url, lambda transport, who: _look(transport, who, type))
    if type:
        [view] = said["types"]
        example = example_of(view)
        if as_json:
            print_json({**said, "types": [{**view, **example}]})
        else:
            show_type(view, example, Console())
    elif as_json:
        print_json(said)
    else:
        show_types(said["types"], Console())


async def _look(transport: Transport, who: str, type: str) -> dict[str, Any]:
    members = {"type": type} if type else {}
    return await request(transport, who, "types", **members)
