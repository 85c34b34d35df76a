"""Once per event: the same event gets the same decision without asking again (R26)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, TypeAlias

from hookbus.dispatch.dispatcher import Decided
from hookbus.errors import HookbusError

WINDOW: Final = 120.0  # seconds
MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024

Key: TypeAlias = tuple[str, str, str, bool]  # principal, source, id, dry_run


class Entry:
    """One event that is being decided, or was."""

    __slots__ = ("decided", "digest", "expires", "size", "waiting")

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.expires = float("inf")
        self.size = 0
        self.decided: Decided | None = None
        self.waiting: list[asyncio.Future[Decided]] = []


class Once:
    """Decisions by event, in this dispatcher's memory; *now* is its monotonic clock in seconds."""

    __slots__ = ("_bytes", "_entries", "_kept")

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._kept: OrderedDict[Key, Entry] = OrderedDict()  # decided ones, the oldest first
        self._bytes = 0

    def find(self, key: Key, now: float) -> Entry | None:
        """Return what is known of an event."""
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].expires > now:
                break
            self._drop(oldest)
        return self._entries.get(key)

    def open(self, key: Key, digest: bytes) -> Entry:
        """Begin an event that is not known."""
        entry = self._entries[key] = Entry(digest)
        return entry

    def close(self, key: Key, entry: Entry, decided: Decided, now: float) -> None:
        """End an event: whoever waits gets the decision, and it is kept if it may be.

        Degraded decisions, and Blocks for another cause than a verdict, may be different the next
        time, so they are not kept.
        """
        for waiting in entry.waiting:
            if not waiting.done():
                waiting.set_result(decided)
        decision = decided.decision
        is_final = not decision.degraded and decision.cause in (None, "verdict")
        if not is_final:
            del self._entries[key]
            return
        entry.decided = decided
        entry.expires = now + WINDOW
        entry.size = len(decided.reply())
        self._kept[key] = entry
        self._bytes += entry.size
        while len(self._kept) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._kept)))

    def fail(self, key: Key, entry: Entry) -> None:
        """End an event that could not be decided: the next one tries anew."""
        for waiting in entry.waiting:
            if not waiting.done():
                waiting.set_exception(HookbusError("the same event could not be decided"))
        del self._entries[key]

    def _drop(self, key: Key) -> None:
        self._bytes -= self._kept.pop(key).size
        del self._entries[key]
