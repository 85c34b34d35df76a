"""Write conflicts: two plugins that want different values in one place (R10). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from hookbus import patches
from hookbus.snapshot import Binding

_Tree: TypeAlias = "dict[str | None, _Tree]"
_END: Final = None  # beside the tokens of a node: a pointer ends here


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
    _tree: _Tree = field(default_factory=dict)

    def add(self, binding: Binding, pointers: tuple[str, ...], after: Any) -> list[Conflict]:
        """Enter what *binding* net-changed and return the conflicts with earlier plugins.

        A conflict is recorded once per earlier pointer, at the shorter of the two paths, when the
        values there differ and the later plugin does not list that pointer in ``rewrites``.
        """
        conflicts: list[Conflict] = []
        if any(_meets(self._tree, pointer) for pointer in pointers):
            contested = _Contested(pointers, after)
            conflicts = [
                Conflict(path, earlier.plugin, binding.plugin)
                for earlier in self._writes
                if earlier.plugin != binding.plugin
                and (path := contested.path(earlier)) is not None
                and not any(patches.covers(outer, earlier.pointer) for outer in binding.rewrites)
            ]
        for pointer in pointers:
            _enter(self._tree, pointer)
            self._writes.append(_Write(pointer, binding.plugin, after))
        return conflicts


def _enter(tree: _Tree, pointer: str) -> None:
    for token in pointer.split("/"):
        tree = tree.setdefault(token, {})
    tree[_END] = {}


def _meets(tree: _Tree, pointer: str) -> bool:
    """Tell whether *pointer* overlaps one in the tree: what mostly does not need no closer look."""
    for token in pointer.split("/"):
        below = tree.get(token)
        if below is None:
            return False
        if _END in below:
            return True
        tree = below
    return True


class _Contested:
    """Where one plugin's writes meet earlier ones.

    Both may be tens of thousands: they are found by walking a tree of tokens, and what a place
    holds is compared once, not once per write.
    """

    def __init__(self, pointers: tuple[str, ...], after: Any) -> None:
        self._after = after
        self._compared: dict[tuple[int, str], bool] = {}
        self._tree: _Tree = {}
        for pointer in pointers:
            _enter(self._tree, pointer)

    def path(self, earlier: _Write) -> str | None:
        """The shortest place that both write and where they leave different values."""
        for path in self._shorter(earlier.pointer):
            compared = (id(earlier.after), path)
            if compared not in self._compared:
                there = patches.resolve(earlier.after, path)
                self._compared[compared] = _same(there, patches.resolve(self._after, path))
            if not self._compared[compared]:
                return path
        return None

    def _shorter(self, pointer: str) -> Iterator[str]:
        """Yield the shorter of *pointer* and each one of ours that overlaps it, shortest first."""
        node, tokens = self._tree, pointer.split("/")
        for count, token in enumerate(tokens, start=1):
            if token not in node:
                return
            node = node[token]
            if _END in node or count == len(tokens):
                yield "/".join(tokens[:count])


def _same(a: Any, b: Any) -> bool:
    if a is patches.MISSING or b is patches.MISSING:
        return a is b
    return patches.equal(a, b)
