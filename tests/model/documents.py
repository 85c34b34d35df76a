"""JSON values as the rules see them: equality, difference, overlap, permission. Imports no hookbus.

Second opinion, written from semantics.md section 1, "JSON equality"; patches are applied by the
package `jsonpatch`. Pure.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

import jsonpatch
import jsonpointer

Operations = list[dict[str, Any]]

NOTHING = object()  # what is at a pointer where nothing is


class CannotApply(Exception):
    """A patch that cannot be decoded or applied: R8, ``bad_patch``."""


def same(a: Any, b: Any) -> bool:
    """Key order is ignored, ``true`` is not ``1``, ``1`` equals ``1.0``."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def difference(old: Any, new: Any, at: str = "") -> Operations:
    """The recursive difference of objects; a changed array is one replace of that array."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if same(old, new) else [{"op": "replace", "path": at, "value": new}]
    operations: Operations = []
    for key in sorted(old.keys() | new.keys()):
        path = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in new:
            operations.append({"op": "remove", "path": path})
        elif key not in old:
            operations.append({"op": "add", "path": path, "value": new[key]})
        else:
            operations.extend(difference(old[key], new[key], path))
    return operations


def merged(data: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(data) if isinstance(data, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def decoded(patch: Any) -> Operations:
    """Refuse what is no RFC 6902 array; of each operation its own members are kept."""
    if not isinstance(patch, list):
        raise CannotApply
    try:
        jsonpatch.JsonPatch(patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as e:
        raise CannotApply from e
    kept = ("op", "path", "from", "value")
    return [{name: op[name] for name in kept if name in op} for op in patch]


def applied(data: Any, operations: Operations) -> Any:
    """All operations or none (R8)."""
    try:
        return jsonpatch.apply_patch(copy.deepcopy(data), copy.deepcopy(operations))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as e:
        raise CannotApply from e


def writes(operation: dict[str, Any]) -> list[str]:
    """An operation writes its ``path``, and ``from`` for ``move``; a test only reads."""
    if operation["op"] == "test":
        return []
    moved = [operation["from"]] if operation["op"] == "move" else []
    return [*moved, operation["path"]]


def covers(above: str, pointer: str) -> bool:
    """*above* is *pointer* or a prefix of it, by whole tokens."""
    return pointer == above or pointer.startswith(above + "/")


def overlap(a: str, b: str) -> str | None:
    """The shorter of two pointers, when they are equal or one is a prefix of the other."""
    if covers(a, b):
        return a
    return b if covers(b, a) else None


def value_at(data: Any, pointer: str) -> Any:
    """What is at *pointer*, or :data:`NOTHING`."""
    return jsonpointer.resolve_pointer(data, pointer, NOTHING)


def same_at(pointer: str, a: Any, b: Any) -> bool:
    """Two payloads have the same value at *pointer*."""
    left, right = value_at(a, pointer), value_at(b, pointer)
    if left is NOTHING or right is NOTHING:
        return left is right
    return same(left, right)


def digest(operations: Operations) -> str:
    """SHA-256 of the canonical patch."""
    text = json.dumps(operations, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
