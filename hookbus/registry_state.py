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


class StateStore:
    """Reads and writes the bucket ``hookbus_state``."""

    def __init__(self, bucket: KeyValue, settings: Settings) -> None:
        """*settings* are the file's."""
        self._bucket = bucket
        self._settings = settings

    async def load(self) -> State:
        """Read everything. What another version wrote and this one cannot read is left out."""
        names = [key for key in await self._bucket.keys() if key.startswith("plugin.")]
        entries = await asyncio.gather(*(self._bucket.get(key) for key in names))
        kept: dict[str, Kept] = {}
        announced: dict[str, Announcement] = {}
        for key, entry in zip(names, entries, strict=True):
            plugin = key.removeprefix("plugin.")
            try:
                if entry is not None:
                    one = msgspec.json.decode(entry.value, type=Kept)
                    announced[plugin] = from_document(one.announcement, plugin)
                    kept[plugin] = one
            except (InvalidManifest, msgspec.DecodeError) as e:
                log.error("kept_announcement_unreadable plugin=%s: %s", plugin, e)
        said = await self._bucket.get(subjects.OVERRIDES_KEY)
        overrides = msgspec.json.decode(said.value, type=Overrides) if said else Overrides()
        return State(kept, announced, overrides, await self._settings_in_force())

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
