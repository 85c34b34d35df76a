"""Looking for decisions in the stream that holds them: the newest that fit, or one by its id."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from hookbus import subjects
from hookbus.decision_log.reader import Extent, Stored, StreamReader
from hookbus.decision_log.records import (
    SHADOW,
    Recorded,
    Reference,
    ShadowRecord,
    Wanted,
    decision_of,
    is_shadow,
    shadow_of,
)

FIRST_SPAN: Final = 1_000  # sequences that are looked at first, from the end
SPAN_GROWTH: Final = 4

#: Seconds before and after the time in an id. A decision is stored after its id was made, at most
#: a timeout later; the further ones are for clocks that differ.
SEEK: Final = ((0.05, 5.0), (10.0, 60.0), (600.0, 660.0))
MAX_MATCHES: Final = 100  # that are kept of a trace
LONGEST_SHADOW: Final = 31.0  # seconds that a shadow plugin may answer later
MAX_SHADOWS: Final = 50_000  # shadow records that are looked at

PROGRESS_STEP: Final = 1_000  # records

#: Hears how many records were looked at, and of how many.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Found:
    """What a search came to.

    Attributes:
        matches: the last :data:`MAX_MATCHES` of *count*, with what each was recognised by.
        own: the decision whose own trace is asked for; others can be made to name that trace, too.
        looked_at: how many records.
    """

    extent: Extent
    matches: deque[tuple[str, Recorded]] = field(default_factory=lambda: deque(maxlen=MAX_MATCHES))
    own: tuple[str, Recorded] | None = None
    count: int = 0
    looked_at: int = 0

    def chosen(self) -> tuple[Recorded, list[tuple[str, Recorded]]]:
        """Return the decision that is meant, else the newest, and the others, oldest first."""
        others = sorted(self.matches, key=lambda match: match[1].at)
        _, meant = self.own or others.pop()
        return meant, others


class Listing(NamedTuple):
    """Some decisions, oldest first; *next* is the sequence of what is stored after them.

    *is_cut*: older ones are wanted, too, and left out.
    """

    decisions: list[Recorded]
    is_cut: bool
    next: int


async def newest(
    reader: StreamReader, wanted: Wanted, limit: int, since: datetime | None = None
) -> Listing:
    """Return the newest *limit* decisions that are wanted.

    It reads backwards in growing spans: what happened last is what is mostly asked for.
    """
    extent = await reader.extent()
    first, upper = extent.first, extent.last
    if since is not None:
        first = await _first_since(reader, since, extent)
    found: deque[Recorded] = deque()
    span = max(FIRST_SPAN, limit)
    while upper >= first and len(found) <= limit:
        lower = max(first, upper - span + 1)
        piece: deque[Recorded] = deque(maxlen=limit + 1 - len(found))
        await reader.read(lower, _into(piece, wanted), until=upper, only=wanted.subjects)
        found.extendleft(reversed(piece))
        upper = lower - 1
        span *= SPAN_GROWTH
    return Listing(list(found)[-limit:], len(found) > limit, extent.last + 1)


async def every(
    reader: StreamReader,
    wanted: Wanted,
    tell: Callable[[Recorded], None],
    since: datetime | None = None,
) -> int:
    """Tell every decision that is wanted, oldest first; return the sequence of what comes next."""
    extent = await reader.extent()

    def take(stored: Stored) -> bool:
        if recorded := recorded_of(stored, wanted):
            tell(recorded)
        return False

    await reader.read(since or extent.first, take, until=extent.last, only=wanted.subjects)
    return extent.last + 1


def _into(piece: deque[Recorded], wanted: Wanted) -> Callable[[Stored], bool]:
    def take(stored: Stored) -> bool:
        if recorded := recorded_of(stored, wanted):
            piece.append(recorded)
        return False

    return take


async def _first_since(reader: StreamReader, since: datetime, extent: Extent) -> int:
    """Return the first sequence that was stored at *since* or later."""
    found = [extent.last + 1]

    def take(stored: Stored) -> bool:
        found[0] = stored.sequence
        return True

    await reader.read(since, take)
    return found[0]


def recorded_of(stored: Stored, wanted: Wanted) -> Recorded | None:
    """Decode one message, if it is a decision that is wanted."""
    decision = decision_of(stored.subject, stored.data)
    if decision is None or not wanted.includes(decision):
        return None
    return Recorded(stored.stored_at, decision, stored.data)


async def find(
    reader: StreamReader, reference: Reference, progress: Progress, since: datetime | None = None
) -> Found:
    """Find the decisions that *reference* names.

    A decision's id says when it was made: there it is looked for first, then further around it,
    and only then in all that the stream holds since *since*. No record is read twice.
    """
    extent = await reader.extent()
    search = _Search(reader, reference, progress, Found(extent))
    if not extent.messages:
        return search.found
    for begin, end in _around(reference, extent):
        await search.look(begin, end)
        if search.found.count:
            return search.found
    await search.look(since or extent.first, None)
    return search.found


def _around(reference: Reference, extent: Extent) -> Iterator[tuple[datetime, datetime]]:
    """Yield where to seek; nowhere if the id is no decision's, or of a time without records."""
    if reference.at is None or extent.until is None or extent.since is None:
        return
    for before, after in SEEK:
        begin = reference.at - timedelta(seconds=before)
        end = reference.at + timedelta(seconds=after)
        if end >= extent.since and begin <= extent.until:
            yield max(begin, extent.since), end


class _Search:
    """What was looked at so far is one stretch of the stream, which grows on both sides."""

    def __init__(
        self, reader: StreamReader, reference: Reference, progress: Progress, found: Found
    ) -> None:
        self.found = found
        self._reader = reader
        self._reference = reference
        self._progress = progress
        self._first = 0  # sequences of the stretch; 0 is none yet
        self._last = 0

    async def look(self, begin: int | datetime, end: datetime | None) -> None:
        """Look at what was stored from *begin* to *end* and was not looked at before."""
        end_ns = end.timestamp() * 1e9 if end else math.inf
        if not self._first:
            await self._read(begin, end_ns)
            return
        first = self._first
        await self._read(begin, math.inf, until=first - 1)
        if not (self.found.count and self._reference.is_unique):
            await self._read(self._last + 1, end_ns)

    async def _read(
        self, begin: int | datetime, end_ns: float, *, until: int | None = None
    ) -> None:
        def take(stored: Stored) -> bool:
            if stored.stored_ns > end_ns:
                return True
            self._first = min(self._first or stored.sequence, stored.sequence)
            self._last = max(self._last, stored.sequence)
            if self.found.looked_at % PROGRESS_STEP == 0:
                self._progress(self.found.looked_at, self.found.extent.messages)
            return _look(stored, self._reference, self.found)

        await self._reader.read(begin, take, until=until)


def _look(stored: Stored, reference: Reference, found: Found) -> bool:
    """Look at one record; tell whether it is the only one there can be."""
    found.looked_at += 1
    if not reference.may_be_in(stored.data) or is_shadow(stored.subject):
        return False
    decision = decision_of(stored.subject, stored.data)
    kind = reference.means(decision) if decision else None
    if decision is None or kind is None:
        return False
    found.count += 1
    match = (kind, Recorded(stored.stored_at, decision, stored.data))
    if kind == "own trace":
        found.own = match
    else:
        found.matches.append(match)
    return kind == "decision" and reference.is_unique


async def shadows(reader: StreamReader, recorded: Recorded) -> list[ShadowRecord]:
    """Return what plugins in shadow said about the same event, in order."""
    decision = recorded.decision
    took = timedelta(milliseconds=sum(record.ms for record in decision.records))
    start = recorded.at - took - timedelta(seconds=1)
    end = (recorded.at + timedelta(seconds=LONGEST_SHADOW)).timestamp() * 1e9
    needle, found, seen = decision.id.encode(), list[ShadowRecord](), 0

    def take(stored: Stored) -> bool:
        nonlocal seen
        seen += 1
        if needle in stored.data:
            record = shadow_of(stored.data)
            if record is not None and record.decision == decision.id:
                found.append(record)
        return stored.stored_ns > end or seen >= MAX_SHADOWS

    await reader.read(start, take, only=[subjects.decision(SHADOW, decision.event.type)])
    return found
