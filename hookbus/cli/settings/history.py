"""`hookbus settings history`: who changed the configuration, when, and what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hookbus.cli.operating import QUIET, Json, Url, ask, print_json
from hookbus.cli.printable import clean, compact, shorten
from hookbus.operations import request
from hookbus.registry.control import DEFAULT_HISTORY

MAX_VALUE: Final = 200  # characters of a value that are shown
MAX_KEPT: Final = 128  # the last 64, and 64 that changed the settings
INDENT: Final = 7  # columns of what a generation changed
LINES: Final = 12  # changes of one generation that are shown


def history(
    n: Annotated[
        int, typer.Argument(min=1, max=MAX_KEPT, metavar="[N]", help="How many generations.")
    ] = DEFAULT_HISTORY,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the last generations, the newest first: who made each, when, and what it changed.

    The last 64 are kept, and 64 that changed the settings. 'hookbus settings rollback GENERATION'
    puts the settings of one in force again.

    Example: hookbus settings history 20
    """
    answer = ask(url, lambda transport, who: request(transport, who, "history", n=n))
    if as_json:
        print_json(answer)
        return
    if not answer["history"]:
        print("no generation was made yet; next: hookbus settings apply FILE")
    console = Console()
    for generation in answer["history"]:
        heading, *lines = _lines(generation)
        console.print(heading)
        for line in lines:
            console.print(Padding(line, (0, 0, 0, INDENT)))


def _lines(generation: dict[str, Any]) -> Iterator[Text]:
    by, what = clean(generation["by"] or "?"), clean(generation["what"] or "?")
    at = clean(generation["at"] or "?")
    yield Text.assemble(
        (f"{generation['generation']:>5}", "bold"), (f"  {at}  ", QUIET), f"{by}: {what}"
    )
    changes = generation["changes"]
    if changes is None:
        yield Text("the oldest that is kept: what it changed is not known", QUIET)
        return
    for change in changes[:LINES]:
        yield Text.assemble(
            f"{clean(change['key'])}: ",
            (_value(change["before"]), "red"),
            " → ",
            (_value(change["after"]), "green"),
        )
    more = len(changes) - LINES + generation["more"]
    if more > 0:
        yield Text(f"… and {more} more; --json shows them", QUIET)


def _value(value: Any) -> str:
    return "not said" if value is None else shorten(compact(value), MAX_VALUE)
