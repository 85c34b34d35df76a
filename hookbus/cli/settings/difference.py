"""What other settings change, as a table for a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.operating import QUIET
from hookbus.cli.printable import clean, compact, shorten

MAX_VALUE: Final = 200  # characters of a value that are shown


def show_difference(difference: list[dict[str, Any]], console: Console) -> None:
    if not difference:
        console.print("no setting changes")
        return
    table = table_of("setting", "before", "after")
    for change in difference:
        table.add_row(Text(clean(change["key"])), _side(change["before"]), _side(change["after"]))
    console.print(table)


def _side(value: Any) -> Text:
    """Show one side of a change; null is what is not said there."""
    if value is None:
        return Text("not said", QUIET)
    return Text(shorten(compact(value), MAX_VALUE))


def table_of(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
