"""JSON values: dict, list, str, int, float, bool and None, and what is missing. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec


class Missing(Enum):
    """The type of :data:`MISSING`."""

    MISSING = "missing"


#: What :func:`resolve` returns where there is nothing; ``None`` is a JSON value.
MISSING: Final = Missing.MISSING

_KINDS: Final[dict[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
    Missing: "nothing",
}


#: Two values of one of these types are equal as JSON where they are equal in Python.
PLAIN: Final = frozenset({str, int, float, bool})

_encode: Final = msgspec.json.Encoder().encode


def equal(a: object, b: object) -> bool:
    """Compare as JSON: key order is ignored, ``true`` is not 1, and 1 equals 1.0."""
    if a is b:
        return True
    kind = type(a)
    if kind in PLAIN and type(b) is kind:
        return a == b
    # Nearly all is settled in C, a seventh of the time that a walk takes: what Python tells apart
    # JSON does too, and of what is left (True == 1) the same bytes are the same value.
    try:
        if a != b:
            return False
        if _encode(a) == _encode(b):
            return True
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # no JSON, or nested too deep for this
    return equal_by_walk(a, b)


def equal_by_walk(a: object, b: object) -> bool:
    """The same in Python: for what may be equal though its bytes differ, and without recursion."""
    pairs: list[tuple[Any, Any]] = [(a, b)]
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if isinstance(left, dict):
            if not isinstance(right, dict) or left.keys() != right.keys():
                return False
            pairs.extend([(value, right[key]) for key, value in left.items()])
        elif isinstance(left, list):
            if not isinstance(right, list) or len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif left != right or isinstance(left, bool) is not isinstance(right, bool):
            return False
    return True


def kind(value: object) -> str:
    """Name the type of *value* for a message, which never shows the value itself."""
    return _KINDS.get(type(value)) or type(value).__name__
