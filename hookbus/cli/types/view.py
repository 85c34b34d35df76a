"""Event types on a terminal: what their data is, and who is asked. Pure.

Schemas are anybody's text: it is shown plainly, without control characters.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hookbus.cli.operating import QUIET
from hookbus.cli.printable import clean, compact, shorten
from hookbus.schemas.compiled import compile_schema
from hookbus.schemas.samples import make

MAX_LINES: Final = 200  # of a schema that is shown
MAX_LINE: Final = 400  # characters
MAX_EVENT: Final = 300  # characters of an event that fits no more
INDENT: Final = 2


def show_types(views: list[dict[str, Any]], console: Console) -> None:
    """Print a line for each type."""
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for heading in ("type", "schema", "required", "secret", "asks"):
        table.add_column(heading, overflow="fold")
    for view in views:
        table.add_row(*(Text(clean(cell)) for cell in _cells(view)))
    console.print(table)
    console.print(Text("next: hookbus types TYPE, or hookbus types add FILE", QUIET))


def _cells(view: dict[str, Any]) -> Iterator[str]:
    schema = view["schema"]
    yield view["name"]
    yield "built-in" if view["builtin"] else "any JSON" if schema is None else "settings"
    yield ", ".join(map(str, (schema or {}).get("required", ())))
    yield ", ".join(view["secret"])
    yield ", ".join(dict.fromkeys(hook["plugin"] for hook in view["hooks"])) or "nobody"


def example_of(view: dict[str, Any]) -> dict[str, Any]:
    """Make data that fits: ``{"example": {…}}``, or nothing if none can be made."""
    schema = True if view["schema"] is None else view["schema"]
    made = make(schema)
    return {"example": made} if compile_schema(schema).is_valid(made) else {}


def show_type(view: dict[str, Any], example: dict[str, Any], console: Console) -> None:
    """Print all that is known of one type."""
    name = clean(view["name"])
    console.print(Text.assemble((name, "bold"), (f"  {clean(view['origin'])}", QUIET)))
    for line in _limits(view):
        _say(console, line)
    _say(console, "data: any JSON" if view["schema"] is None else "data:")
    for line in _schema_lines(view["schema"]):
        console.print(Padding(Text(line), (0, 0, 0, 2 * INDENT)))
    for hook in view["hooks"]:
        mode = "" if hook["mode"] == "enforce" else f", {clean(hook['mode'])}"
        _say(console, f"asks: {clean(hook['plugin'])} ({clean(hook['phase'])}{mode})")
    if not view["hooks"]:
        _say(console, "asks: nobody yet")
    if "example" in example:
        # as it is: whoever copies it needs one line that no terminal has wrapped
        print(f"\nhookbus emit {name} --data {_quoted(example['example'])}")
    else:
        _say(console, "no data that fits could be made: put an example into the schema")


def _say(console: Console, line: str) -> None:
    console.print(Padding(Text(line), (0, 0, 0, INDENT)))


def _limits(view: dict[str, Any]) -> Iterator[str]:
    yield f"timeout: {view['timeout_ms']} ms, at most {view['max_timeout_ms']} ms"
    yield f"conflict: {view['conflict']}, record_payload: {view['record_payload']}"
    if view["secret"]:
        yield f"secret: {', '.join(map(clean, view['secret']))}"


def _schema_lines(schema: Any) -> Iterator[str]:
    if schema is None:
        return
    lines = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode().splitlines()
    for line in lines[:MAX_LINES]:
        indent = len(line) - len(line.lstrip())
        yield " " * indent + shorten(line.lstrip(), MAX_LINE)
    if len(lines) > MAX_LINES:
        yield f"… and {len(lines) - MAX_LINES} more lines; all of it is in --json"


def _quoted(data: Any) -> str:
    text = compact(data) if not isinstance(data, str) else msgspec.json.encode(data).decode()
    return shlex.quote("".join(_escaped(c) for c in text))


def _escaped(character: str) -> str:
    """What a terminal must not see stays what it is in JSON, by an escape."""
    if clean(character) == character:
        return character
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def show_changes(changes: list[dict[str, Any]], console: Console) -> None:
    """Print what other schemas mean for those who send events."""
    for change in changes:
        said, style = _WORDS[change["verdict"]]
        console.print(Text.assemble((clean(change["type"]), "bold"), (f": {said}", style)))
        for one in change["changes"]:
            pointer = f"{clean(one['pointer'])}: " if one["pointer"] else ""
            _say(console, f"{pointer}{clean(one['message'])}")
            if "event" in one:
                shown = shorten(compact(one["event"]), MAX_EVENT)
                console.print(Padding(Text(f"refused now: {shown}", QUIET), (0, 0, 0, 2 * INDENT)))


_WORDS: Final = {
    "compatible": ("every event that fitted still fits", "green"),
    "refuses": ("events that fitted are refused", "bold red"),
    "unknown": ("nobody can tell whether all that fitted still fits", "yellow"),
}
