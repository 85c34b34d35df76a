"""Streams that are gone: whoever deletes one must not leave the bus without it."""

from __future__ import annotations

from collections.abc import Iterable

from hookbus.streams import Streams


class Missing:
    """Tells which streams are gone for good: one look may fall into the time between two makers."""

    def __init__(self, streams: Streams, names: Iterable[str]) -> None:
        self._streams = streams
        self._names = tuple(names)
        self._before: set[str] = set()

    async def look(self) -> list[str]:
        """Return the names of those that were not there at the last look either."""
        now = {name for name in self._names if not await self._streams.is_there(name)}
        gone = sorted(now & self._before)
        self._before = now
        return gone
