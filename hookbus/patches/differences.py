"""The net difference of two JSON values, as operations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from hookbus.patches.operations import Operation, OpName
from hookbus.patches.pointers import Tokens
from hookbus.patches.values import MISSING, PLAIN, equal

_Place: TypeAlias = tuple[Tokens, Any, Any]  # where, and what was and is there
_EVERYWHERE: Final[tuple[Tokens, ...]] = ((),)
#: Levels on which a container as a whole is compared before it is looked into. What did not change
#: is settled at one look; on each further level all that is below would be compared once more.
_OUTER: Final = 3


def difference(
    before: object, after: object, written: Iterable[Tokens] = _EVERYWHERE
) -> tuple[Operation, ...]:
    """Return what makes *after* of *before*, in the order of the sorted keys.

    Objects are compared key by key; everything else that differs, an array too, is one replace.
    Where it is known what was *written*, nothing else is looked at.
    """
    operations: list[Operation] = []
    pending: list[_Place] = [((), before, after)]
    if written is not _EVERYWHERE:
        pending = _outermost([_place(before, after, path) for path in written])
    while pending:
        path, old, new = pending.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            pending.extend(_inside(path, old, new))
        elif equal(old, new):
            continue
        elif new is MISSING:
            operations.append(Operation("remove", path))
        else:
            name: OpName = "add" if old is MISSING else "replace"
            operations.append(Operation(name, path, (), new))
    return tuple(operations)


def _inside(path: Tokens, old: dict[str, Any], new: dict[str, Any]) -> list[_Place]:
    """What may differ between two objects, last key first: the last one pushed is popped first."""
    keys, added = [], 0
    is_outer = len(path) < _OUTER
    for key, value in new.items():
        was = old.get(key, MISSING)
        if was is MISSING:
            added += 1
        elif was is value:
            continue
        elif type(value) is str:  # most are: a call less
            if was == value:
                continue
        elif (is_outer or type(value) in PLAIN) and equal(was, value):
            continue
        keys.append(key)
    if len(new) - added != len(old):
        keys.extend(old.keys() - new.keys())
    keys.sort(reverse=True)
    return [((*path, key), old.get(key, MISSING), new.get(key, MISSING)) for key in keys]


def _place(old: Any, new: Any, path: Tokens) -> _Place:
    """Follow *path* through objects; an array on the way is the place, for it is replaced whole."""
    for depth, token in enumerate(path):
        if not isinstance(old, dict) or not isinstance(new, dict):
            return path[:depth], old, new
        old, new = old.get(token, MISSING), new.get(token, MISSING)
    return path, old, new


def _outermost(places: list[_Place]) -> list[_Place]:
    """Drop what lies inside another place; last place first."""
    if len(places) < 2:
        return places
    kept: list[_Place] = []
    for place in sorted(places, key=lambda each: each[0]):
        if not kept or place[0][: len(kept[-1][0])] != kept[-1][0]:
            kept.append(place)
    kept.reverse()
    return kept
