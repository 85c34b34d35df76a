"""Once per event: the same event gets the same decision without asking again (R26)."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from typing import Final, TypeAlias

import msgspec

from hookbus.dispatch.decided import Decided
from hookbus.errors import HookbusError
from hookbus.wire.event import Inbound

WINDOW: Final = 120.0  # seconds
MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024

_canonical = msgspec.json.Encoder(order="sorted").encode

Key: TypeAlias = tuple[str, str, str, bool]  # principal, source, id, dry_run


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A decided event: bytes only, so that ten thousand of them cost the collector nothing."""

    digest: int
    reply: bytes
    expires: float


class Running:
    """An event that is being decided."""

    __slots__ = ("digest", "waiting")

    def __init__(self, digest: int) -> None:
        self.digest = digest
        self.waiting: list[asyncio.Future[bytes]] = []


class Once:
    """Replies by event, in this dispatcher's memory; *now* is its monotonic clock in seconds."""

    __slots__ = ("_bytes", "_kept", "_running", "_secret")

    def __init__(self) -> None:
        self._secret = os.urandom(16)
        self._running: dict[Key, Running] = {}
        self._kept: OrderedDict[Key, Kept] = OrderedDict()  # the oldest first
        self._bytes = 0

    def key_of(self, inbound: Inbound) -> tuple[Key, int]:
        """What names an event, and a digest of its content, whatever the order of its keys.

        The digest never leaves this object, and nobody can look for two contents that share one:
        it begins with a secret. Measured, it takes a quarter of the time of one for everybody.
        """
        event = inbound.event
        content = self._secret + _canonical((event.type, event.subject, event.data))
        return (inbound.principal, event.source, event.id, inbound.dry_run), hash(content)

    def find(self, key: Key, now: float) -> Kept | Running | None:
        """Return what is known of an event."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.expires > now else self._running.get(key)

    def open(self, key: Key, digest: int) -> Running:
        """Begin an event that is not known."""
        running = self._running[key] = Running(digest)
        return running

    def close(self, key: Key, decided: Decided, now: float) -> None:
        """End an event: whoever waits gets the reply, and it is kept if it may be.

        Degraded decisions, and Blocks for another cause than a verdict, may be different the next
        time, so they are not kept.
        """
        running = self._running.pop(key)
        for waiting in running.waiting:
            if not waiting.done():
                waiting.set_result(decided.reply)
        decision = decided.decision
        if decision.degraded or decision.cause not in (None, "verdict"):
            return
        if (before := self._kept.pop(key, None)) is not None:  # it was over
            self._bytes -= len(before.reply)
        self._kept[key] = Kept(running.digest, decided.reply, now + WINDOW)
        self._bytes += len(decided.reply)
        self._drop_old(now)

    def fail(self, key: Key) -> None:
        """End an event that could not be decided: the next one tries anew."""
        for waiting in self._running.pop(key).waiting:
            if not waiting.done():
                waiting.set_exception(HookbusError("the same event could not be decided"))

    def _drop_old(self, now: float) -> None:
        """Forget what is over, and the oldest beyond the limits."""
        while self._kept:
            oldest, kept = next(iter(self._kept.items()))
            is_full = len(self._kept) > MAX_ENTRIES or self._bytes > MAX_BYTES
            if not is_full and kept.expires > now:
                return
            del self._kept[oldest]
            self._bytes -= len(kept.reply)
