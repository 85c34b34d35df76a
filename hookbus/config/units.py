"""Durations and sizes as people write them: ``"7d"``, ``"1GiB"``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from hookbus.manifest.fields import at_least, whole
from hookbus.manifest.problems import shown

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB|TiB)")
_BYTES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

DAY: Final = _SECONDS["d"]
MIB: Final = _BYTES["MiB"]
GIB: Final = _BYTES["GiB"]


def _seconds(value: Any) -> Any:
    """``"24h" → 86400.0``; what is no text is left to the check of the type."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(
            f"expected seconds, or a duration such as '7d' or '24h', got {shown(value)}"
        )
    return float(match[1]) * _SECONDS[match[2]]


def _bytes(value: Any) -> Any:
    """``"64KiB" → 65536``; what is no text is left to the check of the type."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"expected bytes, or a size such as '64KiB' or '1GiB', got {shown(value)}")
    return int(match[1]) * _BYTES[match[2]]


def _or_text(pattern: re.Pattern[str], number: Mapping[str, Any]) -> WithJsonSchema:
    """Tell editors that a number may also be written as a text with its unit."""
    text = {"type": "string", "pattern": whole(pattern.pattern)}
    return WithJsonSchema({"anyOf": [dict(number), text]})


_LONGEST: Final = 9_000_000_000  # seconds; JetStream counts nanoseconds in 64 bits

#: seconds
Duration = Annotated[
    float,
    at_least(1, most=_LONGEST),
    BeforeValidator(_seconds),
    _or_text(_DURATION, {"type": "number", "minimum": 1, "maximum": _LONGEST}),
]
#: bytes
Size = Annotated[
    int,
    at_least(1),
    BeforeValidator(_bytes),
    _or_text(_SIZE, {"type": "integer", "minimum": 1}),
]
