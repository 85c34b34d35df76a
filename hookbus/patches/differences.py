"""The net difference of two JSON values, as operations. Pure."""

from __future__ import annotations

from typing import Any

from hookbus.patches.operations import Operation
from hookbus.patches.pointers import Tokens
from hookbus.patches.values import MISSING, equal


def difference(before: object, after: object) -> tuple[Operation, ...]:
    """Return what makes *after* of *before*, in the order of the sorted keys.

    Objects are compared key by key; everything else that differs, an array too, is one replace.
    """
    operations: list[Operation] = []
    pending: list[tuple[Tokens, Any, Any]] = [((), before, after)]
    while pending:
        path, old, new = pending.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            # Last key first, because the last one pushed is the first one popped.
            for key in sorted(old.keys() | new.keys(), reverse=True):
                left, right = old.get(key, MISSING), new.get(key, MISSING)
                if left is not right:
                    pending.append(((*path, key), left, right))
        elif old is MISSING:
            operations.append(Operation("add", path, value=new))
        elif new is MISSING:
            operations.append(Operation("remove", path))
        elif not equal(old, new):
            operations.append(Operation("replace", path, value=new))
    return tuple(operations)
