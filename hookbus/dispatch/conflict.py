"""Write conflicts: two plugins that want different values in one place (R10). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from hookbus import patches
from hookbus.snapshot import Binding

_Tree: TypeAlias = "dict[str | None, _Tree]"
_END: Final = None  # beside the tokens of a node: a pointer ends here
#: Pairs of an earlier and a new pointer that are compared one with the other, 0.1 µs a pair: a tree
#: takes 1 µs a pointer to make, and nearly every plugin writes a place or three.
_FEW: Final = 64


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """*winner* wrote over what *loser* had written at *path*."""

    path: str
    loser: str
    winner: str


class _Write(msgspec.Struct, frozen=True, gc=False):
    """What one plugin net-changed in its turn, and the data that it left."""

    plugin: str
    pointers: tuple[str, ...]
    after: Any


class Writes:
    """The net writes of one round, in order."""

    __slots__ = ("_count", "_placed", "_tree", "_writes")

    def __init__(self) -> None:
        self._writes: list[_Write] = []
        self._count = 0  # of all their pointers
        self._tree: _Tree = {}
        self._placed = 0  # writes whose pointers are in the tree

    def add(self, binding: Binding, pointers: tuple[str, ...], after: Any) -> list[Conflict]:
        """Enter what *binding* net-changed and return the conflicts with earlier plugins.

        A conflict is recorded once per earlier pointer, at the shorter of the two paths, when the
        values there differ and the later plugin does not list that pointer in ``rewrites``.
        """
        conflicts: list[Conflict] = []
        contested = self._contested(pointers, after)
        if contested is not None:
            plugin, rewrites = binding.plugin, binding.rewrites
            conflicts = [
                Conflict(path, earlier.plugin, plugin)
                for earlier in self._writes
                if earlier.plugin != plugin
                for pointer in earlier.pointers
                if (path := contested.path(pointer, earlier.after)) is not None
                and not (rewrites and any(patches.covers(outer, pointer) for outer in rewrites))
            ]
        self._writes.append(_Write(binding.plugin, pointers, after))
        self._count += len(pointers)
        return conflicts

    def _contested(self, pointers: tuple[str, ...], after: Any) -> _Contested | None:
        """None is the answer where nothing of *pointers* overlaps an earlier one."""
        if not self._writes:
            return None
        if self._count * len(pointers) <= _FEW:
            return _Contested(partial(shorter_by_pairs, pointers), after)
        for write in self._writes[self._placed :]:
            for pointer in write.pointers:
                _enter(self._tree, pointer)
        self._placed = len(self._writes)
        if not any(_meets(self._tree, pointer) for pointer in pointers):
            return None
        return _Contested(partial(shorter_by_tree, tree_of(pointers)), after)


class _Contested:
    """Where one plugin's writes meet earlier ones.

    Both may be tens of thousands: what a place holds is compared once, not once per write.
    """

    __slots__ = ("_after", "_compared", "_shorter")

    def __init__(self, shorter: Callable[[str], Iterable[str]], after: Any) -> None:
        self._shorter = shorter
        self._after = after
        self._compared: dict[tuple[int, str], bool] = {}

    def path(self, pointer: str, earlier: Any) -> str | None:
        """The shortest place that both write and where they leave different values.

        *earlier* is the data that was left by who wrote at *pointer*.
        """
        for path in self._shorter(pointer):
            compared = (id(earlier), path)
            is_same = self._compared.get(compared)
            if is_same is None:
                is_same = self._compared[compared] = _is_same(path, earlier, self._after)
            if not is_same:
                return path
        return None


def shorter_by_pairs(pointers: tuple[str, ...], earlier: str) -> list[str]:
    """Return the shorter of *earlier* and each one that overlaps it, shortest first."""
    found = []
    for pointer in pointers:
        if earlier.startswith(pointer):  # so short a look settles nearly every pair
            if patches.covers(pointer, earlier):
                found.append(pointer)
        elif pointer.startswith(earlier) and patches.covers(earlier, pointer):
            found.append(earlier)
    return found if len(found) < 2 else sorted(set(found), key=len)


def shorter_by_tree(tree: _Tree, earlier: str) -> Iterator[str]:
    """The same of a :func:`tree_of` the pointers, of which there may be tens of thousands."""
    node, tokens = tree, earlier.split("/")
    for count, token in enumerate(tokens, start=1):
        if token not in node:
            return
        node = node[token]
        if _END in node or count == len(tokens):
            yield "/".join(tokens[:count])


def tree_of(pointers: Iterable[str]) -> _Tree:
    """Return the tree of the tokens of *pointers*."""
    tree: _Tree = {}
    for pointer in pointers:
        _enter(tree, pointer)
    return tree


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


def _is_same(path: str, earlier: Any, later: Any) -> bool:
    tokens = patches.tokens(path)
    a, b = patches.find(earlier, tokens), patches.find(later, tokens)
    if a is patches.MISSING or b is patches.MISSING:
        return a is b
    return patches.equal(a, b)
