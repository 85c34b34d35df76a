"""What the registry keeps in the broker's KV of plugins and operators: announcements, overrides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.errors import InvalidManifest, TransportError
from hookbus.keyvalue import Entry, KeyValue
from hookbus.manifest.announcement import Announcement, from_document
from hookbus.registry.applied import Applied
from hookbus.registry.policy import Overrides
from hookbus.registry.replicas import Kept

#: What holds before any settings are applied: nobody is named, so nobody is bound.
NOTHING_APPLIED: Final = Settings(mode="production")

_UNREADABLE: Final = (InvalidManifest, msgspec.DecodeError, UnicodeError)

_DIGITS: Final = 20  # of a generation's number; KV counts in 64 bits

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """All that is known about plugins, and the settings in force.

    Attributes:
        applied: what *settings* were read from; None before any are applied.
        revisions: of the keys that all this was read from, so that a change of another registry
            in between is noticed.
    """

    kept: dict[str, Kept]
    announced: dict[str, Announcement]
    overrides: Overrides
    settings: Settings = NOTHING_APPLIED
    applied: Applied | None = None
    revisions: dict[str, int] = field(default_factory=dict)

    @property
    def owner(self) -> str | None:
        """Who alone may change the settings."""
        return self.applied.owner if self.applied else None

    def knows(self, plugin: str) -> bool:
        """Tell whether anybody ever spoke of that plugin."""
        return plugin in self.announced or plugin in self.settings.plugins

    def hooks_of(self, plugin: str) -> set[str]:
        """The names of its hooks, announced or in the settings."""
        announcement, said = self.announced.get(plugin), self.settings.plugins.get(plugin)
        announced = {hook.name for hook in announcement.hooks} if announcement else set()
        return announced | (set(said.hooks) if said else set())


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one plugin, and out of which bytes."""

    value: bytes
    kept: Kept
    announcement: Announcement


class _Written(msgspec.Struct):
    """What overrides always have, and nothing else that the broker writes."""

    removed: Any
    modes: Any


class StateStore:
    """Reads and writes the bucket ``hookbus_state``."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket
        self._known: dict[str, _Read] = {}

    async def load(self, applied: Applied | None, settings: Settings) -> State:
        """Read everything. What another version wrote and this one cannot read is left out."""
        names = [key for key in await self._bucket.keys() if key.startswith("plugin.")]
        keys = [*names, subjects.OVERRIDES_KEY]
        found = await asyncio.gather(*map(self._bucket.get, keys))
        entries = {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}
        said = entries.pop(subjects.OVERRIDES_KEY, None)
        overrides = await self._read(subjects.OVERRIDES_KEY, said, _overrides) if said else None
        plugins = [await self._read_plugin(key, entry) for key, entry in entries.items()]
        self._known = {one.announcement.plugin: one for one in plugins if one is not None}
        revisions = {key: entry.revision for key, entry in entries.items()}
        if said is not None:
            revisions[subjects.OVERRIDES_KEY] = said.revision
        kept = {plugin: one.kept for plugin, one in self._known.items()}
        announced = {plugin: one.announcement for plugin, one in self._known.items()}
        return State(kept, announced, overrides or Overrides(), settings, applied, revisions)

    async def _read_plugin(self, key: str, entry: Entry) -> _Read | None:
        """Read one plugin's entry, unless it is the same as the last time."""
        plugin = key.removeprefix("plugin.")
        known = self._known.get(plugin)
        if known is not None and known.value == entry.value:
            return known
        return await self._read(key, entry, lambda value: _announced(plugin, value))

    async def _read(self, key: str, entry: Entry, read: Callable[[bytes], T]) -> T | None:
        """Read an entry; in place of what no registry wrote, the newest that one did.

        NATS does not check reply subjects: whoever asks JetStream, or acknowledges, can have the
        broker write its answer over any key.
        """
        try:
            return read(entry.value)
        except _UNREADABLE as e:
            log.error("state_unreadable key=%s: %s; the one before holds", key, e)
        for older in reversed(await self._bucket.history(key)):
            with contextlib.suppress(*_UNREADABLE):
                return read(older.value)
        return None

    async def keep(self, plugin: str, kept: Kept, state: State) -> None:
        """Keep what a plugin's replicas announced, in place of what *state* has.

        This and the next two raise `KeyConflict` where another registry was faster.
        """
        key = subjects.announcement_key(plugin)
        value = msgspec.json.encode(kept)
        await self._bucket.update(key, value, state.revisions.get(key, 0))

    async def forget(self, plugin: str, state: State) -> None:
        """Drop a plugin's announcement."""
        key = subjects.announcement_key(plugin)
        await self._bucket.delete(key, state.revisions.get(key, 0))

    async def remember(self, generation: int, document: bytes) -> None:
        """Keep a generation that changed the settings beside the last ones."""
        try:
            await self._bucket.put(subjects.SETTINGS_KEY, b"%d:%b" % (generation, document))
        except TransportError as e:  # it is in force, and among the last ones
            log.warning("generation_not_remembered generation=%d: %s", generation, e)

    async def remembered(self) -> list[Entry]:
        """Read what was remembered, the oldest first; the revisions are the generations."""
        found = []
        for entry in await self._bucket.history(subjects.SETTINGS_KEY):
            number, _, document = entry.value.partition(b":")
            if number.isdigit() and len(number) < _DIGITS:  # else no registry wrote it
                found.append(Entry(document, int(number)))
        return sorted(found, key=lambda entry: entry.revision)

    async def override(self, overrides: Overrides, state: State) -> None:
        """Keep what operators said."""
        value = msgspec.json.encode(overrides)
        key = subjects.OVERRIDES_KEY
        await self._bucket.update(key, value, state.revisions.get(key, 0))


def _overrides(value: bytes) -> Overrides:
    msgspec.json.decode(value, type=_Written)
    return msgspec.json.decode(value, type=Overrides)


def _announced(plugin: str, value: bytes) -> _Read:
    kept = msgspec.json.decode(value, type=Kept)
    return _Read(value, kept, from_document(kept.announcement, plugin))
