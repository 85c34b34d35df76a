"""Foreign text made safe for a terminal: no control characters, and not too long. Pure."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

import msgspec

ELLIPSIS: Final = "…"

#: Characters of a text that are looked at before it is shortened.
_LONGEST: Final = 20_000

#: Control, format (bidi overrides, zero-width ones), surrogate and private use characters: they
#: move the cursor, turn the reading order or cannot be encoded.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co"})


def clean(text: str) -> str:
    """Return *text* as one line without anything but printable characters."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _UNPRINTABLE else character


def shorten(text: str, length: int) -> str:
    """Return *text* in one printable line of at most *length* characters, an ellipsis last."""
    line = clean(text[:_LONGEST])
    return line if len(line) <= length else line[: max(0, length - 1)].rstrip() + ELLIPSIS


def shorten_middle(text: str, length: int) -> str:
    """Shorten as :func:`shorten` does, but keep both ends: what is cut out is in the middle."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + text[-_LONGEST // 2 :]
    line = clean(text)
    if len(line) <= length:
        return line
    tail = (length - 1) // 3
    return f"{line[: length - 1 - tail]}{ELLIPSIS}{line[len(line) - tail :]}"


def compact(value: Any) -> str:
    """Write a JSON value on one line; a text stands for itself."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
