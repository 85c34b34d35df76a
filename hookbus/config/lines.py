"""In which line of a TOML file a key stands; `tomllib` does not tell. Pure."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from hookbus.manifest.problems import join

_HEADER: Final = re.compile(r"\s*\[")
MAX_LINES: Final = 200  # of one value; a longer one is not looked into


def line_of(text: str, at: str) -> int | None:
    """Find the line, from 1, of the key *at*, or of the table or value that it would stand in.

    *at* is written as `join` does. None: nothing of it stands there.
    """
    best, found = -1, None
    for key, line in _keys(text):
        is_within = at == key or at.startswith((f"{key}.", f"{key}["))
        if is_within and len(key) > best:
            best, found = len(key), line
    return found


def _keys(text: str) -> Iterator[tuple[str, int]]:
    """Yield each key with its line, tables before what stands in them."""
    table = ""
    arrays: Counter[str] = Counter()
    for statement, line in _statements(text):
        tree = tomllib.loads(statement)
        if not _HEADER.match(statement):
            yield from ((key, line) for key in _paths(tree, table))
            continue
        *around, table = _paths(tree, "")
        yield from ((key, line) for key in around)  # said only by what stands in them
        if statement.lstrip().startswith("[["):
            index = arrays[table]
            arrays[table] += 1
            table = f"{table}[{index}]"
        yield table, line


def _statements(text: str) -> Iterator[tuple[str, int]]:
    """Cut a file into headers and assignments; a value may take several lines."""
    held: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not held:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            first = number
        held.append(line)
        statement = "\n".join(held)
        if _is_whole(statement):
            yield statement, first
            held = []
        elif len(held) > MAX_LINES:
            held = []


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except (ValueError, RecursionError):
        return False
    return True


def _paths(tree: Any, at: str) -> Iterator[str]:
    """Yield the path of a statement's tree, from the outside to where it branches or ends."""
    while isinstance(tree, dict) and len(tree) == 1:
        [(key, tree)] = tree.items()
        at = join(at, key)
        yield at
