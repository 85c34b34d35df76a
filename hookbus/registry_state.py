"""What the registry keeps in the broker's KV: announcements, overrides, applied settings."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import msgspec

from hookbus import subjects
from hookbus.config.flatten import flatten
from hookbus.config.settings import Settings, parse_settings
from hookbus.errors import InvalidManifest, SettingsError
from hookbus.keyvalue import KeyValue
from hookbus.manifest.announcement import Announcement, from_document
from hookbus.policy import Overrides
from hookbus.replicas import Kept

log = logging.getLogger(__name__)


class Applied(msgspec.Struct, frozen=True):
    """Settings that an operator applied at run time, instead of the file's.

    Attributes:
        instead_of: digest of the file's settings then; a file that says something else since
            was edited, and wins again.
    """

    tree: dict[str, Any]
    by: str
    at: str
    instead_of: str


@dataclass(frozen=True, slots=True)
class State:
    """All that is known about plugins, and the settings in force."""

    kept: dict[str, Kept]
    announced: dict[str, Announcement]
    overrides: Overrides
    settings: Settings

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


class StateStore:
    """Reads and writes the bucket ``hookbus_state``."""

    def __init__(self, bucket: KeyValue, settings: Settings) -> None:
        """*settings* are the file's."""
        self._bucket = bucket
        self._settings = settings
        self._known: dict[str, _Read] = {}

    async def load(self) -> State:
        """Read everything. What another version wrote and this one cannot read is left out."""
        names = [key for key in await self._bucket.keys() if key.startswith("plugin.")]
        plugins = [name.removeprefix("plugin.") for name in names]
        entries = await asyncio.gather(*(self._bucket.get(name) for name in names))
        self._known = {
            plugin: one
            for plugin, entry in zip(plugins, entries, strict=True)
            if entry is not None and (one := self._read(plugin, entry.value)) is not None
        }
        kept = {plugin: one.kept for plugin, one in self._known.items()}
        announced = {plugin: one.announcement for plugin, one in self._known.items()}
        said = await self._bucket.get(subjects.OVERRIDES_KEY)
        overrides = msgspec.json.decode(said.value, type=Overrides) if said else Overrides()
        return State(kept, announced, overrides, await self._settings_in_force())

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
            return None

    async def keep(self, plugin: str, kept: Kept) -> None:
        """Keep what a plugin's replicas announced."""
        await self._bucket.put(subjects.announcement_key(plugin), msgspec.json.encode(kept))

    async def forget(self, plugin: str) -> None:
        """Drop a plugin's announcement."""
        await self._bucket.delete(subjects.announcement_key(plugin))

    async def override(self, overrides: Overrides) -> None:
        """Keep what operators said."""
        await self._bucket.put(subjects.OVERRIDES_KEY, msgspec.json.encode(overrides))

    async def apply(self, tree: dict[str, Any], by: str, at: str) -> None:
        """Put other settings in force."""
        applied = Applied(tree, by, at, digest_of(self._settings))
        await self._bucket.put(subjects.SETTINGS_KEY, msgspec.json.encode(applied))

    async def _settings_in_force(self) -> Settings:
        entry = await self._bucket.get(subjects.SETTINGS_KEY)
        if entry is None:
            return self._settings
        try:
            applied = msgspec.json.decode(entry.value, type=Applied)
            if applied.instead_of != digest_of(self._settings):
                return self._settings
            return parse_settings(applied.tree, f"applied by {applied.by} at {applied.at}")
        except (SettingsError, msgspec.DecodeError) as e:
            log.error("applied_settings_unreadable: %s; the file's are used", e)
            return self._settings


def digest_of(settings: Settings) -> str:
    """Digest the values, wherever they come from."""
    values = [[row.key, row.value] for row in flatten(settings)]
    encoded = msgspec.json.encode(values, order="sorted", enc_hook=str)
    return hashlib.sha256(encoded).hexdigest()
