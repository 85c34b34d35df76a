"""What a figure may be at most, and whether it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class AtMost(NamedTuple):
    says: str  # with the unit
    found: float
    most: float

    @property
    def is_met(self) -> bool:
        return self.found <= self.most


def print_limits(limits: Iterable[AtMost], *, is_quick: bool) -> bool:
    """Print each; tell whether all of them hold, which is no question of a quick run."""
    limits = list(limits)
    print("\nbars" + " (a quick run is no measurement: shown, not judged)" * is_quick)
    for limit in limits:
        word = "met" if limit.is_met else "MISSED"
        print(f"  {word:8}{limit.says} (at most {limit.most:g}): {limit.found:.3f}", flush=True)
    return is_quick or all(limit.is_met for limit in limits)


def print_row(cells: Sequence[str]) -> None:
    """Print one line of a table: a name, and its figures to the right."""
    name, *figures = cells
    print(f"  {name:14}" + "".join(cell.rjust(11) for cell in figures), flush=True)
