"""The operations of RFC 6902: decoded, encoded, hashed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hookbus.errors import BadPatch
from hookbus.patches.pointers import Tokens, pointer, tokens
from hookbus.patches.values import MISSING, kind

OpName: TypeAlias = Literal["add", "remove", "replace", "move", "copy", "test"]

_NAMES: Final[dict[str, OpName]] = {
    "add": "add",
    "remove": "remove",
    "replace": "replace",
    "move": "move",
    "copy": "copy",
    "test": "test",
}
_WITH_VALUE: Final = frozenset({"add", "replace", "test"})
_WITH_SOURCE: Final = frozenset({"move", "copy"})
_encode_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation of RFC 6902, its pointers split into tokens.

    Attributes:
        source: the operation's ``from``; empty unless it is a move or a copy.
        value: None unless it is an add, a replace or a test.
    """

    op: OpName
    path: Tokens
    source: Tokens = ()
    value: Any = None


def decode(raw: object, *, max_ops: int) -> tuple[Operation, ...]:
    """Check a decoded RFC 6902 array; members that an operation does not know are ignored.

    Raises:
        BadPatch: If it is no list of at most *max_ops* well-formed operations.
    """
    if not isinstance(raw, list):
        raise BadPatch(f"patch: expected a list of operations, got {kind(raw)}")
    if len(raw) > max_ops:
        raise BadPatch(f"patch: {len(raw)} operations, at most {max_ops} are taken")
    return tuple([_decode_one(index, entry) for index, entry in enumerate(raw)])


def _decode_one(index: int, raw: object) -> Operation:
    if not isinstance(raw, dict):
        raise BadPatch(f"operation {index}: expected an object, got {kind(raw)}")
    word = raw.get("op", MISSING)
    name = _NAMES.get(word) if isinstance(word, str) else None
    if name is None:
        found = repr(word) if isinstance(word, str) else kind(word)
        raise BadPatch(f"operation {index}: expected an 'op' of {list(_NAMES)}, got {found}")
    if name in _WITH_VALUE and "value" not in raw:
        raise BadPatch(f"operation {index} ({name}): 'value' is missing; null must be written")
    path = _tokens_of(index, name, raw, "path")
    source = _tokens_of(index, name, raw, "from") if name in _WITH_SOURCE else ()
    return Operation(name, path, source, raw["value"] if name in _WITH_VALUE else None)


def _tokens_of(index: int, name: OpName, raw: dict[Any, Any], member: str) -> Tokens:
    text = raw.get(member, MISSING)
    if not isinstance(text, str):
        raise BadPatch(
            f"operation {index} ({name}): expected {member!r} to be a JSON Pointer, "
            f"got {kind(text)}"
        )
    try:
        return tokens(text)
    except BadPatch as error:
        raise BadPatch(f"operation {index} ({name}): {member!r} is no {error}") from None


def to_json(operations: Iterable[Operation]) -> list[dict[str, Any]]:
    """Return the RFC 6902 array with each operation's own members and no other."""
    return [_members(operation) for operation in operations]


def _members(operation: Operation) -> dict[str, Any]:
    name, path = operation.op, pointer(operation.path)
    if name in _WITH_VALUE:
        return {"op": name, "path": path, "value": operation.value}
    if name in _WITH_SOURCE:
        return {"op": name, "path": path, "from": pointer(operation.source)}
    return {"op": name, "path": path}


def patch_hash(operations: Iterable[Operation]) -> str:
    """SHA-256, in hex, of :func:`to_json` with sorted keys and no spaces."""
    return sha256(_encode_canonical(to_json(operations))).hexdigest()


def written_paths(operations: Iterable[Operation]) -> list[Tokens]:
    """Return where *operations* write, in order.

    A move writes its ``from`` (which it empties) and then its ``path``; a test writes nothing.
    """
    paths: list[Tokens] = []
    for operation in operations:
        if operation.op == "move":
            paths.append(operation.source)
        if operation.op != "test":
            paths.append(operation.path)
    return paths


def written(operations: Iterable[Operation]) -> tuple[str, ...]:
    """Return the pointers that *operations* write, each once, in order of their first use."""
    return tuple(dict.fromkeys([pointer(path) for path in written_paths(operations)]))
