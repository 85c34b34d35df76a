"""JSON Pointers (RFC 6901): split, joined, compared and followed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from hookbus.errors import BadPatch
from hookbus.patches.values import MISSING

Tokens: TypeAlias = tuple[str, ...]

_BAD_ESCAPE: Final = re.compile(r"~(?![01])")
#: An index of an array. Nine digits are more items than a message can hold, and `int` of
#: thousands of digits raises.
INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def pointer(tokens: Iterable[str]) -> str:
    """``("a/b", "0")`` → ``"/a~1b/0"``; no tokens are the root, ``""``."""
    text = ""
    for token in tokens:
        if "~" in token or "/" in token:
            token = token.replace("~", "~0").replace("/", "~1")
        text = f"{text}/{token}"
    return text


def tokens(pointer: str) -> Tokens:
    """``"/a~1b/0"`` → ``("a/b", "0")``.

    Raises:
        BadPatch: If *pointer* does not start with ``/``, or has a ``~`` before neither 0 nor 1.
    """
    if not pointer:
        return ()
    if pointer[0] != "/":
        raise BadPatch(f"pointer {pointer!r}: expected '' or a text that starts with '/'")
    if "~" not in pointer:
        return tuple(pointer[1:].split("/"))
    if _BAD_ESCAPE.search(pointer):
        raise BadPatch(
            f"pointer {pointer!r}: expected '~0' (for '~') or '~1' (for '/') after a '~'"
        )
    parts = pointer[1:].split("/")
    return tuple([part.replace("~1", "/").replace("~0", "~") for part in parts])


def covers(outer: str, inner: str) -> bool:
    """Tell whether *inner* is *outer* or lies inside it; ``""`` covers everything."""
    # Comparing texts is comparing tokens: each token has exactly one escaped form.
    return outer == inner or inner.startswith(outer + "/")


def overlaps(a: str, b: str) -> bool:
    """Tell whether one of two pointers covers the other: ``"/a"`` and ``"/a/b"``, not ``"/ab"``."""
    return covers(a, b) or covers(b, a)


def resolve(document: object, pointer: str) -> Any:
    """Return the value that *pointer* names, or :data:`MISSING`.

    Raises:
        BadPatch: If *pointer* is no pointer.
    """
    return find(document, tokens(pointer))


def find(document: Any, path: Tokens) -> Any:
    """As :func:`resolve`, of a pointer that is split already."""
    node = document
    for token in path:
        if isinstance(node, dict):
            node = node.get(token, MISSING)
        elif isinstance(node, list) and INDEX.fullmatch(token) and int(token) < len(node):
            node = node[int(token)]
        else:
            return MISSING
    return node
