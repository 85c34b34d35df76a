"""How far the observers are: what waits for each, what is a letter, what it never had."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.errors import HookbusError
from hookbus.registry.discards import Discarded, Discards
from hookbus.registry.letter_box import LetterBox
from hookbus.streams import ConsumerSpec, Place, Streams

INTERVAL: Final = 10.0  # seconds between two looks, so that discards are noticed
_STREAM: Final = subjects.OBSERVE_STREAM

log = logging.getLogger(__name__)


class ObserverState(msgspec.Struct, frozen=True, kw_only=True):
    """One observing hook.

    Attributes:
        waiting: events that it has not handled yet.
        oldest_s: seconds since the oldest of them was stored; None without any.
        letters: dead letters that it has.
        discarded: events that the stream's limits took away before it had them, since this
            registry's start; if not *discarded_exact*, at most so many.
    """

    waiting: int = 0
    oldest_s: float | None = None
    letters: int = 0
    discarded: int = 0
    discarded_exact: bool = True


class Observing:
    """Looks at the consumers of the observers; *states* is what the last look found."""

    def __init__(self, streams: Streams, box: LetterBox) -> None:
        self._streams = streams
        self._box = box
        self._discards = Discards()
        self._looking = asyncio.Lock()
        self.states: dict[tuple[str, str], ObserverState] = {}

    async def look(self) -> dict[tuple[str, str], ObserverState]:
        """Look at every observer."""
        async with self._looking:
            specs = await self._streams.consumers(_STREAM)
            extent = await self._streams.extent(_STREAM)
            places = await self._streams.places(_STREAM)
            is_still = (await self._streams.extent(_STREAM)).last == extent.last
            letters = await self._box.counts()
            found = {}
            for spec in specs:
                place, owner = places.get(spec.name), subjects.observer_of(spec.name)
                if place is None or owner is None:
                    continue
                newer = None
                behind = self._discards.in_question(spec.name, place, extent)
                if behind is not None and is_still:
                    newer = await self._newer(spec, behind, extent.last)
                self._discards.note(spec.name, place, extent, newer=newer, is_still=is_still)
                discarded = self._discards.totals[spec.name]
                found[owner] = await self._state(spec, place, letters.get(owner, 0), discarded)
            self._discards.keep({spec.name for spec in specs})
            self.states = found
            return found

    def taken_away(self, consumer: str) -> None:
        """Hear that a limit took an event away that an observer had in its hands."""
        self._discards.taken_away(consumer)

    def totals(self) -> dict[str, int]:
        """What the last look found, of all observers together."""
        names = ("waiting", "letters", "discarded")
        return {n: sum(getattr(s, n) for s in self.states.values()) for n in names}

    async def keep_looking(self) -> None:
        """Look again and again; the broker may be away."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except HookbusError as e:
                log.debug("observers_not_seen: %s", e)
            except Exception:  # a defect; the others of the registry's tasks go on as well
                log.exception("observers_not_seen")

    async def _newer(self, spec: ConsumerSpec, behind: int, last: int) -> int | None:
        """Count what is stored for a consumer behind a sequence; None if more came meanwhile."""
        filters = (spec.filter_subject, *spec.more_filters)
        count = await self._streams.count(_STREAM, behind + 1, *filters)
        return count if (await self._streams.extent(_STREAM)).last == last else None

    async def _state(
        self, spec: ConsumerSpec, place: Place, letters: int, discarded: Discarded
    ) -> ObserverState:
        oldest = None
        if waiting := place.waiting + place.unanswered:
            filters = (spec.filter_subject, *spec.more_filters)
            first = await self._streams.find(_STREAM, place.next, *filters)
            oldest = None if first is None else round(max(0.0, time.time() - first.stored_at), 3)
        return ObserverState(
            waiting=waiting,
            oldest_s=oldest,
            letters=letters,
            discarded=discarded.count,
            discarded_exact=discarded.is_exact,
        )
