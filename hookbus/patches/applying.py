"""Patches (RFC 6902) and merge patches (RFC 7396) applied, within limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hookbus.errors import BadPatch
from hookbus.patches.operations import Operation
from hookbus.patches.pointers import INDEX, Tokens, find, pointer
from hookbus.patches.values import MISSING, equal, kind
from hookbus.wire.limits import MAX_DEPTH, openings

_TOO_DEEP: Final = f"the result would nest deeper than {MAX_DEPTH} levels"
_END: Final = "-"  # the place after an array's last item, for add only
_CONTAINERS: Final = (dict, list)  # `dict | list` would be built anew at each check
_ENCODER: Final = msgspec.json.Encoder()


def apply(document: object, operations: Iterable[Operation], *, max_bytes: int) -> Any:
    """Apply all of *operations*, or none.

    *max_bytes* bounds the JSON bytes that they write, all together: the values that are added,
    replaced and copied, and containers that move deeper. Keys do not count: they stand in the
    patch itself, so no operation can multiply them. What is replaced or removed earns nothing
    back, so the limit bounds the work as well as the result.

    Raises:
        BadPatch: With the operation's index and pointer, if one cannot be applied, writes past
            *max_bytes*, or would nest deeper than JSON may.
    """
    draft = _Draft(document, max_bytes)
    for index, operation in enumerate(operations):
        try:
            draft.run(operation)
        except _Refused as error:
            where = f"operation {index} ({operation.op} {pointer(operation.path)!r})"
            raise BadPatch(f"{where}: {error}") from None
    return draft.root


class _Refused(Exception):
    """Why something cannot be applied; the caller adds which operation it is."""


class _Draft:
    """A document under change, which copies a container the first time it is written into."""

    __slots__ = ("_left", "_limit", "_owned", "root")

    def __init__(self, document: Any, max_bytes: int) -> None:
        self.root = document
        self._limit = max_bytes
        self._left = max_bytes
        # Our copies by id: each has one place in the draft and may be written again as it is.
        # The dict keeps them alive, so that an id cannot come to mean another container.
        self._owned: dict[int, Any] = {}

    def run(self, operation: Operation) -> None:
        name, path = operation.op, operation.path
        if name == "replace":
            self._charge(operation.value, len(path))
            self._replace(path, operation.value)
        elif name == "add":
            self._charge(operation.value, len(path))
            self._add(path, operation.value)
        elif name == "remove":
            self._remove(path)
        elif name == "test":
            if not equal(self._get(path), operation.value):
                raise _Refused("the value there is not the tested one")
        elif name == "copy":
            self._copy(operation.source, path)
        else:
            self._move(operation.source, path)

    def _copy(self, source: Tokens, path: Tokens) -> None:
        value = self._get(source)
        self._charge(value, len(path))
        self._share(value)
        self._add(path, value)

    def _share(self, value: Any) -> None:
        """Give up what of *value* is our own: it is about to have two places in the draft."""
        pending = [value]
        while pending:
            node = pending.pop()
            # What is not our own holds nothing of our own: copies are made from the root down.
            if self._owned.pop(id(node), None) is not None:
                pending.extend(node.values() if isinstance(node, dict) else node)

    def _move(self, source: Tokens, path: Tokens) -> None:
        value = self._get(source)
        if source == path:
            return
        if path[: len(source)] == source:
            raise _Refused(f"{pointer(source)!r} cannot be moved into itself")
        if len(path) > len(source) and isinstance(value, _CONTAINERS):
            # Adds no byte, but may nest too deep; the charge bounds the work of looking.
            self._charge(value, len(path))
        if path:
            self._remove(source)
        self._add(path, value)

    def _charge(self, value: object, depth: int) -> None:
        encoded = _encoded(value)
        self._left -= len(encoded)
        if self._left < 0:
            raise _Refused(f"the patch writes more than {self._limit} bytes")
        if isinstance(value, _CONTAINERS) and _is_deeper(value, encoded, MAX_DEPTH - depth):
            raise _Refused(_TOO_DEEP)

    def _get(self, path: Tokens) -> Any:
        value = find(self.root, path)
        if value is MISSING:
            raise _Refused(f"there is nothing at {pointer(path)!r}")
        return value

    def _add(self, path: Tokens, value: object) -> None:
        if not path:
            self.root = value
            return
        parent, token = self._open_parent(path), path[-1]
        if isinstance(parent, dict):
            parent[token] = value
        elif token == _END:
            parent.append(value)
        else:
            parent.insert(_index(token, len(parent) + 1), value)

    def _replace(self, path: Tokens, value: object) -> None:
        if not path:
            self.root = value
            return
        parent, key = self._open_existing(path)
        parent[key] = value

    def _remove(self, path: Tokens) -> None:
        if not path:
            raise _Refused("the whole document cannot be removed; replace it with null")
        parent, key = self._open_existing(path)
        del parent[key]

    def _open_existing(self, path: Tokens) -> tuple[Any, str | int]:
        parent, token = self._open_parent(path), path[-1]
        if isinstance(parent, list):
            return parent, _index(token, len(parent))
        if token not in parent:
            raise _Refused(f"there is nothing at {pointer(path)!r}")
        return parent, token

    def _open_parent(self, path: Tokens) -> Any:
        """Make all containers on the way to *path* our own; return the last one."""
        self.root = node = self._own(self.root, path, 0)
        for depth, token in enumerate(path[:-1], start=1):
            if isinstance(node, list):
                index = _index(token, len(node))
                child = node[index] = self._own(node[index], path, depth)
            else:
                child = node[token] = self._own(node.get(token, MISSING), path, depth)
            node = child
        return node

    def _own(self, node: Any, path: Tokens, depth: int) -> Any:
        if id(node) in self._owned:
            return node
        if not isinstance(node, _CONTAINERS):
            where = pointer(path[:depth])
            raise _Refused(f"expected an object or array at {where!r}, got {kind(node)}")
        copy = node.copy()
        self._owned[id(copy)] = copy
        return copy


def merge(document: object, merge_patch: object) -> Any:
    """Apply a merge patch (RFC 7396): null removes a key, whatever is no object replaces.

    The result cannot outgrow the two together, so there is no limit to give.

    Raises:
        BadPatch: If the result would nest deeper than JSON may.
    """
    try:
        return _merged(document, merge_patch, ())
    except _Refused as error:
        raise BadPatch(f"merge patch {error}") from None


def _merged(target: object, patch: object, path: Tokens) -> Any:
    if not isinstance(patch, dict):
        if isinstance(patch, list) and _is_deeper(patch, _encoded(patch), MAX_DEPTH - len(path)):
            raise _Refused(f"at {pointer(path)!r}: {_TOO_DEEP}")
        return patch
    if len(path) == MAX_DEPTH:
        raise _Refused(f"at {pointer(path)!r}: {_TOO_DEEP}")
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value, (*path, key))
    return merged


def _index(token: str, end: int) -> int:
    if not INDEX.fullmatch(token) or int(token) >= end:
        raise _Refused(f"{token!r} is no index below {end}")
    return int(token)


def _is_deeper(container: object, encoded: bytes, levels: int) -> bool:
    if openings(encoded, levels) <= levels:  # no more levels than that: settles all but odd values
        return False
    # Level by level: faster than reading the bytes, and it stops at the limit.
    level: list[Any] = [container]
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, _CONTAINERS)
        ]
        if not level:
            return False
    return True


def _encoded(value: object) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _Refused(f"{kind(value)} is not JSON ({type(error).__name__})") from None
