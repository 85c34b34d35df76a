"""Decisions as they are made, joined to those that are stored: none twice, none left out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from hookbus import subjects
from hookbus.decision_log.reader import Stored, StreamReader
from hookbus.decision_log.records import Recorded, Wanted
from hookbus.decision_log.search import recorded_of
from hookbus.errors import Disconnected, TransportError
from hookbus.message import Message
from hookbus.transport import Transport

ALL: Final = subjects.STREAM_SUBJECTS[subjects.DECISIONS_STREAM]
MAX_WAITING: Final = 10_000  # messages; beyond, they are read from the stream instead
REMEMBERED: Final = 50_000  # ids that were told
OVERLAP: Final = timedelta(seconds=5)  # that is read again after a loss
RETRY_WAIT: Final = 0.25  # seconds between two attempts to catch up

log = logging.getLogger("hookbus.decision_log")


class Follower:
    """Hears every decision, and reads from the stream what it could not hear."""

    def __init__(
        self,
        transport: Transport,
        reader: StreamReader,
        wanted: Wanted,
        tell: Callable[[Recorded], None],
    ) -> None:
        self._transport = transport
        self._reader = reader
        self._wanted = wanted
        self._tell_one = tell
        self._heard: deque[Stored] = deque()
        self._told: dict[str, None] = {}  # ids, oldest first
        self._news = asyncio.Event()
        self._heard_at = _now()  # everything until then is known, …
        self._ahead = timedelta()  # … and by how much the broker's clock is ahead of ours
        self._is_behind = False

    async def run(self, start: int) -> None:
        """Tell everything from the sequence *start* on, for ever.

        Raises:
            TransportError: There is no stream to begin with.
        """
        self._transport.on_disconnect(self._fall_behind)
        await self._transport.subscribe(ALL, self._on_message)
        await self._transport.flush()
        await self._catch_up(start)
        while True:
            while self._heard:
                self._tell(self._heard.popleft())
            if self._is_behind:
                await self._try_to_catch_up()
                continue
            await self._news.wait()
            self._news.clear()

    def _on_message(self, message: Message) -> None:
        if len(self._heard) >= MAX_WAITING:
            self._fall_behind()
        if self._is_behind:
            return  # it is in the stream
        self._heard_at = _now()
        nanoseconds = int(self._heard_at.timestamp() * 1e9)
        self._heard.append(Stored(0, nanoseconds, message.subject, message.data))
        self._news.set()

    def _fall_behind(self) -> None:
        self._is_behind = True
        self._news.set()

    async def _try_to_catch_up(self) -> None:
        """Read what was missed; the broker's JetStream comes back later than its port."""
        known_until = self._heard_at
        self._is_behind = False  # from here on it hears again
        try:
            await self._catch_up(known_until + self._ahead - OVERLAP)
        except TransportError as e:
            self._heard.clear()
            self._heard_at, self._is_behind = known_until, True
            if not isinstance(e, Disconnected):
                log.warning("%s; trying again", e)
            await asyncio.sleep(RETRY_WAIT)

    async def _catch_up(self, start: int | datetime) -> None:
        extent = await self._reader.extent()
        if extent.now is not None:
            self._ahead = extent.now - _now()
        await self._reader.read(start, self._take)

    def _take(self, stored: Stored) -> bool:
        self._tell(stored)
        return False

    def _tell(self, stored: Stored) -> None:
        if recorded := recorded_of(stored, self._wanted):
            self.tell(recorded)

    def tell(self, recorded: Recorded) -> None:
        """Tell one decision, unless it was told before."""
        if recorded.decision.id in self._told:
            return
        self._told[recorded.decision.id] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        self._tell_one(recorded)


def _now() -> datetime:
    return datetime.now(UTC)
