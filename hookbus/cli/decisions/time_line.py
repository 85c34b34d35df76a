"""When each plugin was asked about one event, drawn with characters. Pure.

Records hold how long each call took, not when it began. That follows from the rules: mutating
plugins are asked one after another, validating ones all at once after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hookbus.models import PluginRecord

FULL: Final = "█"
BESIDE: Final = "░"  # nobody waited for it
NOT_ASKED: Final = "·"


class Bar(NamedTuple):
    """One call, from *start* for *ms* milliseconds."""

    record: PluginRecord
    start: float
    ms: float
    is_beside: bool = False

    @property
    def is_asked(self) -> bool:
        return self.record.attempt > 0


def bars(records: Sequence[PluginRecord], shadows: Sequence[PluginRecord] = ()) -> list[Bar]:
    """Place every record on the time line, in the order of the phases."""
    at = 0.0
    placed: list[Bar] = []
    for record in records:
        placed.append(Bar(record, at, record.ms))
        if record.phase == "mutate":
            at += record.ms
    return placed + [
        Bar(record, 0.0 if record.phase == "mutate" else at, record.ms, is_beside=True)
        for record in shadows
    ]


def total_ms(placed: Sequence[Bar]) -> float:
    """Return how long the plugins took that were waited for."""
    return max((bar.start + bar.ms for bar in placed if not bar.is_beside), default=0.0)


def drawn(bar: Bar, total: float, width: int) -> str:
    """Draw one bar in *width* columns that stand for *total* milliseconds."""
    if total <= 0:
        total = 1.0
    start = min(width - 1, int(bar.start / total * width))
    if not bar.is_asked:
        return (" " * start + NOT_ASKED).ljust(width)
    end = max(start + 1, min(width, round((bar.start + bar.ms) / total * width)))
    return (" " * start + (BESIDE if bar.is_beside else FULL) * (end - start)).ljust(width)
