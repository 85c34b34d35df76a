"""What the registry keeps in the broker's KV of plugins and operators: announcements, overrides."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.applied import Applied
from hookbus.config.settings import Settings
from hookbus.errors import InvalidManifest
from hookbus.keyvalue import KeyValue
from hookbus.manifest.announcement import Announcement, from_document
from hookbus.policy import Overrides
from hookbus.replicas import Kept

#: What holds before any settings are applied: nobody is named, so nobody is bound.
NOTHING_APPLIED: Final = Settings(mode="production")

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
        self._overrides = Overrides()  # the last ones that were readable

    async def load(self, applied: Applied | None, settings: Settings) -> State:
        """Read everything. What another version wrote and this one cannot read is left out."""
        names = [key for key in await self._bucket.keys() if key.startswith("plugin.")]
        keys = [*names, subjects.OVERRIDES_KEY]
        found = await asyncio.gather(*map(self._bucket.get, keys))
        entries = {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}
        said = entries.get(subjects.OVERRIDES_KEY)
        self._overrides = self._read_overrides(said.value) if said else Overrides()
        revisions = {key: entry.revision for key, entry in entries.items()}
        entries.pop(subjects.OVERRIDES_KEY, None)
        plugins = {key.removeprefix("plugin."): entry.value for key, entry in entries.items()}
        self._known = {
            plugin: one
            for plugin, value in plugins.items()
            if (one := self._read(plugin, value)) is not None
        }
        kept = {plugin: one.kept for plugin, one in self._known.items()}
        announced = {plugin: one.announcement for plugin, one in self._known.items()}
        return State(kept, announced, self._overrides, settings, applied, revisions)

    def _read_overrides(self, value: bytes) -> Overrides:
        """Read what operators said; in place of what no registry wrote, what they said before.

        NATS does not check reply subjects: whoever asks JetStream, or acknowledges, can have the
        broker write its answer over any key.
        """
        try:
            msgspec.json.decode(value, type=_Written)
            return msgspec.json.decode(value, type=Overrides)
        except (msgspec.DecodeError, UnicodeError) as e:
            log.error("overrides_unreadable: %s; the last ones that were readable hold", e)
            return self._overrides

    def _read(self, plugin: str, value: bytes) -> _Read | None:
        """Read one plugin's entry, unless it is the same as the last time."""
        known = self._known.get(plugin)
        if known is not None and known.value == value:
            return known
        try:
            kept = msgspec.json.decode(value, type=Kept)
            return _Read(value, kept, from_document(kept.announcement, plugin))
        except (InvalidManifest, msgspec.DecodeError) as e:
            log.error("kept_announcement_unreadable plugin=%s: %s", plugin, e)
            return known  # no registry wrote it: see overrides

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

    async def override(self, overrides: Overrides, state: State) -> None:
        """Keep what operators said."""
        value = msgspec.json.encode(overrides)
        key = subjects.OVERRIDES_KEY
        await self._bucket.update(key, value, state.revisions.get(key, 0))
