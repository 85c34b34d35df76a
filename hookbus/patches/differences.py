"""The net difference of two JSON values, as operations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from hookbus.patches.operations import Operation
from hookbus.patches.pointers import Tokens
from hookbus.patches.values import MISSING, equal

_Place: TypeAlias = tuple[Tokens, Any, Any]  # where, and what was and is there
_EVERYWHERE: Final[tuple[Tokens, ...]] = ((),)


def difference(
    before: object, after: object, written: Iterable[Tokens] = _EVERYWHERE
) -> tuple[Operation, ...]:
    """Return what makes *after* of *before*, in the order of the sorted keys.

    Objects are compared key by key; everything else that differs, an array too, is one replace.
    Where it is known what was *written*, nothing else is looked at.
    """
    operations: list[Operation] = []
    pending = _outermost([_place(before, after, path) for path in written])
    while pending:
        path, old, new = pending.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            pending.extend(_inside(path, old, new))
        elif old is MISSING:
            if new is not MISSING:
                operations.append(Operation("add", path, value=new))
        elif new is MISSING:
            operations.append(Operation("remove", path))
        elif not equal(old, new):
            operations.append(Operation("replace", path, value=new))
    return tuple(operations)


def _inside(path: Tokens, old: dict[str, Any], new: dict[str, Any]) -> list[_Place]:
    """What differs between two objects, last key first: the last one pushed is popped first."""
    keys = [key for key, value in new.items() if old.get(key, MISSING) is not value]
    if keys or len(new) != len(old):
        keys.extend(old.keys() - new.keys())
    return [
        ((*path, key), old.get(key, MISSING), new.get(key, MISSING))
        for key in sorted(keys, reverse=True)
    ]


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
