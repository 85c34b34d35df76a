"""What a mode of the bench is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple


class Options(NamedTuple):
    rounds: int
    events: int  # per measurement, 64 in flight
    scenarios: tuple[str, ...] = ()  # of the contest; none stands for all
    contestants: tuple[str, ...] = ()  # of the contest; none stands for all
    is_quick: bool = False  # the smallest run of everything, whose figures mean nothing
    picture: Path | None = None  # where to draw the contest


class Outcome(NamedTuple):
    figures: Any  # for the JSON file
    is_well: bool = True  # whether all bars hold


#: Measures, prints, and says how it went.
Run = Callable[[Options], Outcome]


class Mode(NamedTuple):
    says: str  # in the help
    run: Run


#: For CI: that it runs and what it prints, no figure.
QUICK: Final = Options(1, 200, ("n=1",), is_quick=True)
