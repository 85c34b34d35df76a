"""Verdicts that need not be asked for again, per dispatcher. Pure.

Validate phase only, Continue and Block only; a failure is never kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from hookbus import patches
from hookbus.dispatch.payload import Payload, digest_of
from hookbus.snapshot import Binding
from hookbus.wire.event import Inbound
from hookbus.wire.verdict import Answer

MAX_ENTRIES: Final = 10_000

Key: TypeAlias = tuple[object, ...]


class VerdictCache:
    """Answers by what they may depend on; *now* is the caller's monotonic clock in seconds."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now: float) -> Answer | None:
        """Return a verdict that is still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: Key, answer: Answer, expires: float, now: float) -> None:
        """Keep a verdict until *expires*; those before it leave when they are over, or too many."""
        if answer.verdict not in ("continue", "block"):
            return
        while self._entries and next(iter(self._entries.values()))[0] <= now:
            self._entries.popitem(last=False)  # what is never asked for again would stay for ever
        self._entries[key] = (expires, answer)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)


def cache_key(binding: Binding, generation: int, inbound: Inbound, payload: Payload) -> Key:
    """All that a verdict may depend on; of the data, its digest or the ``cache_key`` pointers."""
    if binding.cache_key:
        parts = [patches.resolve(payload.data, pointer) for pointer in binding.cache_key]
        data = digest_of([[part is not patches.MISSING, _plain(part)] for part in parts])
    else:
        data = payload.digest
    event = inbound.event
    return (
        binding.plugin,
        binding.hook,
        binding.version,
        generation,
        inbound.principal,
        event.type,
        event.source,
        event.subject,
        inbound.dry_run,
        data,
    )


def _plain(value: object) -> object:
    return None if value is patches.MISSING else value
