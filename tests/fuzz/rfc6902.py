"""Patches by the letter of RFC 6901, 6902 and 7396, for the judge. Imports no hookbus. Pure."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

INDEX = re.compile(r"(?:0|[1-9][0-9]*)\Z", re.ASCII)


TOO_MUCH = 200_000  # characters of JSON that one patch may write; beyond every limit of ours


class CannotApply(Exception):
    """Not a patch, not for this document, or far too much."""


def same(a: Any, b: Any) -> bool:
    """Key order is ignored, ``true`` is not ``1``, ``1`` equals ``1.0``."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return (type(a) is type(b) and a == b) or (_is_number(a) and _is_number(b) and a == b)


def depth(value: Any) -> int:
    """``{}`` and ``[]`` are one level."""
    level, levels = [value], 0
    while level := [node for node in level if isinstance(node, (dict, list))]:
        levels += 1
        level = [
            child for node in level for child in (node.values() if isinstance(node, dict) else node)
        ]
    return levels


def merge(document: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply(document: Any, patch: Any) -> tuple[Any, int]:
    """All operations in order; return the result, and how many characters of JSON were written.

    Raises:
        CannotApply: Any of them cannot be.
    """
    if not isinstance(patch, list):
        raise CannotApply("no list")
    for operation in patch:
        _checked(operation)
    root = [copy.deepcopy(document)]  # the document itself has a place too
    written = 0
    for operation in patch:
        written += len(json.dumps(_run(root, operation)))
        if written > TOO_MUCH:
            raise CannotApply("too much")
    return root[0], written


def _checked(operation: Any) -> None:
    if not isinstance(operation, dict):
        raise CannotApply("no object")
    word = operation.get("op")
    if not isinstance(word, str) or word not in (
        "add",
        "remove",
        "replace",
        "move",
        "copy",
        "test",
    ):
        raise CannotApply("no op")
    _tokens(operation.get("path"))
    if word in ("move", "copy"):
        _tokens(operation.get("from"))
    if word in ("add", "replace", "test") and "value" not in operation:
        raise CannotApply("no value")


def _run(root: list[Any], operation: dict[str, Any]) -> Any:
    """Do one operation and return the value that it wrote."""
    word, path = operation["op"], _tokens(operation["path"])
    if word in ("move", "copy"):
        source = _tokens(operation["from"])
        value = copy.deepcopy(_get(root, source))
        if word == "move" and source != path:
            if path[: len(source)] == source:
                raise CannotApply("into itself")
            _take(root, source)
            _put(root, path, value)
        elif word == "copy":
            _put(root, path, value)
        return value
    if word == "test":
        if not same(_get(root, path), operation["value"]):
            raise CannotApply("test")
        return None
    if word == "remove":
        if not path:
            raise CannotApply("the root")
        _take(root, path)
        return None
    value = copy.deepcopy(operation["value"])
    if word == "replace":
        container, key = _place(root, path)
        container[key] = value
    else:
        _put(root, path, value)
    return value


def _get(root: list[Any], path: list[str]) -> Any:
    container, key = _place(root, path)
    return container[key]


def _take(root: list[Any], path: list[str]) -> None:
    container, key = _place(root, path)
    del container[key]


def _put(root: list[Any], path: list[str], value: Any) -> None:
    if not path:
        root[0] = value
        return
    container, key = _place(root, path[:-1])
    parent, token = container[key], path[-1]
    if isinstance(parent, dict):
        parent[token] = value
    elif isinstance(parent, list):
        place = len(parent) if token == "-" else _index(token, len(parent) + 1)
        parent.insert(place, value)
    else:
        raise CannotApply("no container")


def _place(root: list[Any], path: list[str]) -> tuple[Any, Any]:
    """The container and the key of what is at *path*, which must be there."""
    container: Any = root
    key: Any = 0
    for token in path:
        container = container[key]
        if isinstance(container, dict) and token in container:
            key = token
        elif isinstance(container, list):
            key = _index(token, len(container))
        else:
            raise CannotApply("nothing there")
    return container, key


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and pointer[0] != "/"):
        raise CannotApply("no pointer")
    if re.search(r"~(?![01])", pointer):
        raise CannotApply("no escape")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _index(token: str, end: int) -> int:
    if not INDEX.match(token) or len(token) > 9 or int(token) >= end:
        raise CannotApply("no index")
    return int(token)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
