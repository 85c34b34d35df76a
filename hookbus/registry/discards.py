"""What the limits of a stream took away before an observer had it, counted between two looks. Pure.

A consumer does not say it. Between two looks at one that stood still, what was waiting and does
not wait any more was taken away; one that went on may have had it just before.
"""

from __future__ import annotations

from dataclasses import dataclass

from hookbus.streams import Extent, Place


@dataclass(slots=True)
class Discarded:
    """Messages since the first look; if not *is_exact*, there were at most so many."""

    count: int = 0
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """One consumer at the last look.

    Attributes:
        passed: sequences up to this were delivered, or are counted.
        last: of the stream.
        is_still: nothing was stored during the look, so that *waiting* is of just these messages.
    """

    created: float
    passed: int
    waiting: int
    last: int
    is_still: bool


class Discards:
    """Counts for all consumers of one stream, by their names."""

    def __init__(self) -> None:
        self.totals: dict[str, Discarded] = {}
        self._seen: dict[str, Seen] = {}

    def in_question(self, name: str, place: Place, extent: Extent) -> int | None:
        """Tell behind which sequence to count what is stored for :meth:`note`, if that helps."""
        before = self._before(name, place)
        if before is None or place.delivered > before.passed or not before.is_still:
            return None
        return before.last if before.passed < extent.first - 1 <= before.last else None

    def note(
        self, name: str, place: Place, extent: Extent, *, newer: int | None = None, is_still: bool
    ) -> None:
        """Take note of one look at a consumer; *newer* is what was counted, if it was exact."""
        before = self._before(name, place)
        gone = extent.first - 1  # the last sequence that is not there any more
        total = self.totals.setdefault(name, Discarded())
        passed = max(place.delivered, gone)
        if before is not None:
            passed = max(passed, before.passed)
            if newer is not None:
                total.count += max(0, before.waiting - (place.waiting - newer))
            elif gone > before.passed:
                could_be = before.waiting + max(0, gone - before.last)
                at_most = min(gone - before.passed, could_be)
                total.count += at_most
                total.is_exact &= not at_most
        self._seen[name] = Seen(place.created, passed, place.waiting, extent.last, is_still)

    def taken_away(self, name: str) -> None:
        """Count a message that was taken away after it was delivered; it may be handled yet."""
        total = self.totals.setdefault(name, Discarded())
        total.count += 1
        total.is_exact = False

    def keep(self, names: set[str]) -> None:
        """Forget every other consumer."""
        for known in (self.totals, self._seen):
            for name in known.keys() - names:
                del known[name]

    def _before(self, name: str, place: Place) -> Seen | None:
        before = self._seen.get(name)
        return before if before is not None and before.created == place.created else None
