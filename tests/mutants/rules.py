"""The hand-made mutants, one or more a rule: patch files that still apply when code moves. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.mutant import Mutant, mutant_of

RULES: Final = Path(__file__).with_name("rules")

_TITLE: Final = re.compile(r"# (R\d+): \S.*")
_KILLERS: Final = "# killed by: "


class DoesNotApply(Exception):
    """A patch whose place cannot be found, or not told from another."""


@dataclass(frozen=True, slots=True)
class Hunk:
    path: str
    lines: tuple[str, ...]  # each with its sign, as in the patch


def rule_mutants(read: Callable[[str], str]) -> tuple[list[Mutant], list[str]]:
    """Apply each patch of :data:`RULES` to what *read* returns of a path.

    Returns the mutants in the order of the rules, and for each patch that no longer applies why.
    """
    mutants, problems = [], []
    for file in sorted(RULES.glob("*.patch")):
        try:
            mutants.append(_mutant(file, read))
        except (DoesNotApply, OSError) as error:
            problems.append(f"{file.name}: {error}")
    return mutants, problems


def _mutant(file: Path, read: Callable[[str], str]) -> Mutant:
    text = file.read_text()
    head = text.splitlines()[:2]
    if not _TITLE.fullmatch(head[0]) or not head[0].startswith(f"# {_rule_of(file)}:"):
        raise DoesNotApply(f"expected the first line '# {_rule_of(file)}: …', got {head[0]!r}")
    if not head[1].startswith(_KILLERS):
        raise DoesNotApply(f"expected the second line '{_KILLERS}…', got {head[1]!r}")
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for hunk in hunks_of(text):
        before.setdefault(hunk.path, read(hunk.path))
        after[hunk.path] = applied(after.get(hunk.path, before[hunk.path]), hunk)
    killers = tuple(head[1].removeprefix(_KILLERS).split(", "))
    return mutant_of(file.stem, before, after, killers)


def _rule_of(file: Path) -> str:
    """``R05_open_softens_a_block.patch`` → ``R5``"""
    return f"R{int(file.name[1:3])}"


def hunks_of(text: str) -> Iterator[Hunk]:
    path = ""
    lines: list[str] = []
    for line in [*text.splitlines(), "@@"]:
        if line.startswith(("@@", "--- ")) and lines:
            yield Hunk(path, tuple(lines))
            lines = []
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
        elif path and not line.startswith(("@@", "--- ", "# ")):
            lines.append(line or " ")


def applied(source: str, hunk: Hunk) -> str:
    """Find the one place of a hunk, if need be without its outer lines of context, and change it.

    Raises:
        DoesNotApply: There is no such place, or more than one.
    """
    problem = ""
    for lines in _with_less_context(hunk.lines):
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        places = f"\n{source}".count(f"\n{old}")
        if places == 1:
            return f"\n{source}".replace(f"\n{old}", f"\n{new}")[1:]
        found = f"{places} places like" if places else "no longer"
        problem = problem or f"{hunk.path} has {found} {old!r}"
    raise DoesNotApply(problem)


def _with_less_context(lines: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a hunk, then without its first, its last, both, and so on."""
    above = next(n for n, line in enumerate(lines) if line[0] != " ")
    below = next(n for n, line in enumerate(reversed(lines)) if line[0] != " ")
    for dropped in range(above + below + 1):
        for top in range(max(0, dropped - below), min(above, dropped) + 1):
            yield lines[top : len(lines) - (dropped - top)]
