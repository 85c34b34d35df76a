"""What a mode of the bench is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Options(NamedTuple):
    rounds: int
    events: int  # per measurement, 64 in flight
    scenarios: tuple[str, ...] = ()  # of the contest; none stands for all
    contestants: tuple[str, ...] = ()  # of the contest; none stands for all


class Outcome(NamedTuple):
    figures: Any  # for the JSON file
    is_well: bool = True  # whether all bars hold


#: Measures, prints, and says how it went.
Run = Callable[[Options], Outcome]


class Mode(NamedTuple):
    says: str  # in the help
    run: Run
