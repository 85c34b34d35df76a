"""Write conflicts: two plugins that want different values in one place (R10). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from hookbus import patches
from hookbus.snapshot import Binding


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """*winner* wrote over what *loser* had written at *path*."""

    path: str
    loser: str
    winner: str


class _Write(msgspec.Struct, frozen=True, gc=False):
    pointer: str
    plugin: str
    after: Any


@dataclass(slots=True)
class Writes:
    """The net writes of one round, in order."""

    _writes: list[_Write] = field(default_factory=list)

    def add(self, binding: Binding, pointers: tuple[str, ...], after: Any) -> list[Conflict]:
        """Enter what *binding* net-changed and return the conflicts with earlier plugins.

        A conflict is recorded once per earlier pointer, at the shorter of the two paths, when the
        values there differ and the later plugin does not list that pointer in ``rewrites``.
        """
        conflicts = [
            Conflict(path, earlier.plugin, binding.plugin)
            for earlier in self._writes
            if earlier.plugin != binding.plugin
            and (path := _contested(earlier, pointers, after)) is not None
            and not any(patches.covers(allowed, earlier.pointer) for allowed in binding.rewrites)
        ]
        self._writes.extend(_Write(pointer, binding.plugin, after) for pointer in pointers)
        return conflicts


def _contested(earlier: _Write, pointers: tuple[str, ...], after: Any) -> str | None:
    """The shortest path where *after* differs from what *earlier* left, if one overlaps it."""
    shorter = {
        min(earlier.pointer, pointer, key=len)
        for pointer in pointers
        if patches.overlaps(earlier.pointer, pointer)
    }
    for path in sorted(shorter, key=len):
        if not _same(patches.resolve(earlier.after, path), patches.resolve(after, path)):
            return path
    return None


def _same(a: Any, b: Any) -> bool:
    if a is patches.MISSING or b is patches.MISSING:
        return a is b
    return patches.equal(a, b)
