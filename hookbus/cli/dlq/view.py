"""What dead letters look like on a terminal. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.operating import QUIET
from hookbus.cli.printable import clean, shorten

MAX_ID: Final = 20  # characters of an event's id in the table


def show_letters(letters: Sequence[dict[str, Any]], console: Console) -> None:
    """Print two lines for each: what it is, and why."""
    if not letters:
        console.print("no dead letters: observers handled all that they were given")
        return
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for heading in ("id", "when", "plugin/hook", "type", "event", "tries"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("id", "tries"))
    for letter in letters:
        cells = (
            str(letter["id"]),
            _when(letter["at"]),
            f"{letter['plugin']}/{letter['hook']}",
            letter["type"] or "?",
            shorten(str(letter["event"] or "?"), MAX_ID),
            str(letter["tries"]),
        )
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console.print(table)
    for letter in letters:
        line = Text.assemble((f"{letter['id']} ", QUIET), (clean(letter["error"]), "red"))
        console.print(line)
    console.print(Text("next: 'hookbus dlq ID' shows one; 'hookbus dlq retry' sends again", QUIET))


def show_letter(letter: dict[str, Any], console: Console) -> None:
    """Print one in full."""
    who = f"{letter['plugin']}/{letter['hook']}"
    console.print(Text.assemble((f"letter {letter['id']} ", "bold"), clean(who)))
    rows = {
        "when": letter["at"],
        "tries": str(letter["tries"]),
        "error": letter["error"],
        "event": f"{letter['type'] or '?'} {letter['event'] or '?'} from {letter['source'] or '?'}",
    }
    for name, value in rows.items():
        console.print(Text.assemble((f"  {name:<6} ", QUIET), clean(value)))
    if letter["is_empty"]:
        console.print(Text("  the event is not in it: it cannot be sent again", "yellow"))
        return
    for line in json.dumps(letter["observed"], indent=2, ensure_ascii=False).splitlines():
        indent = len(line) - len(line.lstrip())  # JSON's own; the rest is anybody's text
        console.print(Text(f"  {' ' * indent}{clean(line[indent:])}"))


def _when(at: str) -> str:
    """``"2026-11-21T10:00:00Z" → "11-21 10:00:00"``"""
    return at[5:19].replace("T", " ")
