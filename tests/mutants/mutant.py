"""A mutant: the package with one small thing wrong. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Final

CONTEXT: Final = 3  # lines around a change, in a diff


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant.

    Attributes:
        name: stays the same when the code around it moves.
        path: the file that it changes, as ``hookbus/dispatch/breaker.py``; rules may change more.
        line: where it does.
        sources: the changed files, whole.
        diff: what it changes.
        killers: who is known to kill it; empty when anybody may.
    """

    name: str
    path: str
    line: int
    sources: dict[str, str] = field(repr=False)
    diff: str = field(repr=False)
    killers: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


def mutant_of(
    name: str, before: dict[str, str], after: dict[str, str], killers: tuple[str, ...] = ()
) -> Mutant:
    """Compare sources by path and make a mutant of what differs."""
    changed = {path: text for path, text in after.items() if text != before[path]}
    first = min(changed)
    diff = "".join(_diff(path, before[path], text) for path, text in sorted(changed.items()))
    return Mutant(name, first, _first_line(before[first], changed[first]), changed, diff, killers)


def _first_line(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), 1)


def _diff(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
        n=CONTEXT,
    )
    return "".join(lines)
