"""Python names and texts made of what stands in schemas, whatever that is. Pure.

A schema may hold any text. What becomes part of a program is either a name made here, of ASCII
letters, digits and underscores only, or a string literal.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Container
from typing import Any, Final

from hookbus.cli.printable import clean, shorten
from hookbus.models import Payload

MAX_NAME: Final = 60  # characters of a name that is made
MAX_DOC: Final = 72  # characters of a docstring or a comment

_FAIR: Final = re.compile(r"[a-z][A-Za-z0-9_]*")
_RUNS: Final = re.compile(r"[A-Za-z0-9]+")

#: What a field may not be called: it would hide what a model has, or what annotations are made of.
_TAKEN: Final = frozenset(
    (*dir(Payload), *keyword.kwlist, "bool", "dict", "float", "int", "list", "object", "str")
)


def class_name(*texts: str) -> str:
    """``"chat.order_placed", "line-items" → "ChatOrderPlacedLineItems"``"""
    runs = [run for text in texts for run in _RUNS.findall(text)]
    name = "".join(run[0].upper() + run[1:] for run in runs)[:MAX_NAME]
    return name if name[:1].isalpha() else f"Type{name}"


def field_name(text: str, taken: Container[str]) -> str:
    """A name for the field *text*: itself if that can be, else one like it that is not *taken*."""
    is_fair = _FAIR.fullmatch(text) is not None and len(text) <= MAX_NAME
    if is_fair and not _is_reserved(text) and text not in taken:
        return text
    joined = "_".join(_RUNS.findall(text))[:MAX_NAME] or "field"
    name = joined[0].lower() + joined[1:]
    name = name if name[0].isalpha() else f"field_{name}"
    tried = name if not _is_reserved(name) else f"{name}_"
    count = 1
    while tried in taken:
        count += 1
        tried = f"{name}_{count}"
    return tried


def _is_reserved(name: str) -> bool:
    # pydantic keeps names that begin with `model_` for itself
    return name in _TAKEN or name.startswith("model_")


def literal(value: Any) -> str:
    """Write a text, number, boolean or None as Python does, texts in double quotes if they can."""
    if not isinstance(value, str):
        return repr(value)
    quoted = repr(value)
    if quoted[0] == "'" and '"' not in value:
        return f'"{quoted[1:-1]}"'
    return quoted


def docstring(text: str) -> str:
    """Write *text* as a docstring of one line."""
    line = shorten(" ".join(text.split()), MAX_DOC).replace("\\", "\\\\").replace('"', "'")
    return f'"""{line}"""'


def comment(text: str) -> str:
    """Write *text* as a comment of one line."""
    return f"# {shorten(clean(text), MAX_DOC)}"
