"""JSON values: dict, list, str, int, float, bool and None, and what is missing. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final


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


def equal(a: object, b: object) -> bool:
    """Compare as JSON: key order is ignored, ``true`` is not 1, and 1 equals 1.0."""
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
