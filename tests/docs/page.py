"""The two pages of the protocol as the tests read them: their tables and marked code blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
NODE = DOCS / "examples" / "node"
PAGE = DOCS / "protocol.md"
PAGES = (PAGE, DOCS / "protocol-operators.md")

#: What differs from one conversation to the next; only its type is compared.
VOLATILE = frozenset(
    ["id", "call", "decision", "ms", "sum_ms", "count", "generation", "in_flight", "until"]
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")

_BLOCK = re.compile(r"^```(\w+) ([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """The pages' text and marked code blocks: three backquotes, a language and a label."""

    text: str
    blocks: Mapping[str, str]

    def values(self, label: str) -> list[Any]:
        """Every JSON value of one block, one after another."""
        decoder, text, found = json.JSONDecoder(), self.blocks[label].strip(), []
        while text:
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:].strip()
        return found

    def value(self, label: str) -> Any:
        """The only JSON value of one block."""
        [value] = self.values(label)
        return value

    def message(self, label: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a block that shows both, with an empty line between."""
        head, _, body = self.blocks[label].partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines())
        return headers, body.strip().encode()

    def exchanges(self, label: str) -> list[tuple[str, Any, Any]]:
        """Subject, request and answer of a block that has two lines for each."""
        lines = self.blocks[label].splitlines()
        asked = [line.split(" ", 1) for line in lines[::2]]
        answers = map(json.loads, lines[1::2])
        return [(s, json.loads(r), answer) for (s, r), answer in zip(asked, answers, strict=True)]

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the first table whose head begins with *heading*, without the head."""
        table = self.text[self.text.index(f"| {heading} |") :].split("\n\n", 1)[0]
        return [[cell.strip() for cell in row.split(" | ")] for row in _ROW.findall(table)[1:]]


def read_page(*paths: Path) -> Page:
    """Read *paths* as one page; both of the protocol if none are given."""
    text = "\n".join(path.read_text() for path in paths or PAGES)
    blocks = [(label, body) for _, label, body in _BLOCK.findall(text)]
    assert len(dict(blocks)) == len(blocks), "two blocks have the same label"
    return Page(text, dict(blocks))


def settled(value: Any, key: str = "") -> Any:
    """Put a type's name in place of what cannot be the same twice."""
    if key == "counters":
        return sorted(value)
    if key == "counts":
        return len(value)
    if isinstance(value, dict):
        return {name: settled(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [settled(item) for item in value]
    if key in VOLATILE:
        return type(value).__name__
    return TIME.sub("TIME", value) if isinstance(value, str) else value
