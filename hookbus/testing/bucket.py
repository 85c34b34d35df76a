"""The versioned keys of one bucket in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hookbus.keyvalue import Entry


@dataclass(slots=True)
class Bucket:
    """Versions by key, the last *history* of each; a deleted key has no value."""

    history: int = 64
    revision: int = 0
    revisions: dict[str, int] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, list[Entry]] = field(default_factory=dict)
    on_write: list[Callable[[str, Entry], None]] = field(default_factory=list)

    def get(self, key: str) -> Entry | None:
        if key not in self.values:
            return None
        return Entry(self.values[key], self.revisions[key])

    def put(self, key: str, value: bytes) -> int:
        self.revision += 1
        self.revisions[key] = self.revision
        self.values[key] = value
        versions = self.versions.setdefault(key, [])
        versions.append(Entry(value, self.revision))
        del versions[: -self.history]
        for callback in tuple(self.on_write):
            callback(key, Entry(value, self.revision))
        return self.revision

    def delete(self, key: str) -> None:
        self.revision += 1
        self.revisions[key] = self.revision
        self.values.pop(key, None)

    def is_newest(self, key: str, revision: int) -> bool:
        """Tell whether *revision* is what a writer must know; 0 stands for no value."""
        if revision == 0:
            return key not in self.values
        return self.revisions.get(key) == revision
