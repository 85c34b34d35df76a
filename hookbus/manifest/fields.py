"""The kinds of values that manifests and settings are made of, each with its own words. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from hookbus.manifest.problems import shown
from hookbus.manifest.semver import is_version
from hookbus.subjects import (
    EVENT_TYPE,
    MAX_EVENT_TYPE_LENGTH,
    NAME,
    is_event_type,
    is_name,
    is_type_pattern,
)

#: bytes; our own servers take 8 MiB in one message, 64 KiB are kept for what surrounds a payload
MAX_BODY_BYTES: Final = 8 * 1024 * 1024 - 64 * 1024
#: what every JSON library and every double keeps exact
LARGEST_INTEGER: Final = 2**53 - 1

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


def between(low: int, high: int) -> AfterValidator:
    """Check that a number is within the bounds, both included; the message names both."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"expected {low} … {high}, got {shown(value)}")
        return value

    return AfterValidator(check)


def at_least(low: int, most: int = LARGEST_INTEGER) -> AfterValidator:
    """Check that a number is not below *low*, nor so large that arithmetic would go wrong."""

    def check(value: float) -> float:
        # the comparisons are turned round so that nan fails them too
        if not value >= low:
            raise ValueError(f"expected {low} or more, got {shown(value)}")
        if not value <= most:
            raise ValueError(f"expected at most {most}, got {shown(value)}")
        return value

    return AfterValidator(check)


def _check_name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"expected a name like {NAME.pattern}, got {shown(text)}")
    return text


def _check_event_type(text: str) -> str:
    if not is_event_type(text):
        raise ValueError(
            f"expected an event type like {EVENT_TYPE.pattern}, at most {MAX_EVENT_TYPE_LENGTH} "
            f"characters, got {shown(text)}"
        )
    return text


def _check_type_pattern(text: str) -> str:
    if not is_type_pattern(text):
        raise ValueError(
            f"expected an event type such as 'tool_invoked', or a pattern such as 'chat.*', "
            f"'chat.>' or '>', got {shown(text)}"
        )
    return text


def _check_pointer(text: str) -> str:
    if _POINTER.fullmatch(text) is None:
        raise ValueError(f"expected a JSON Pointer such as '/user/email' or '', got {shown(text)}")
    return text


def _check_version(text: str) -> str:
    if not is_version(text):
        raise ValueError(f"expected a SemVer version such as '1.0.0', got {shown(text)}")
    return text


Name = Annotated[str, AfterValidator(_check_name)]
EventType = Annotated[str, AfterValidator(_check_event_type)]
TypePattern = Annotated[str, AfterValidator(_check_type_pattern)]
Pointer = Annotated[str, AfterValidator(_check_pointer)]
Version = Annotated[str, AfterValidator(_check_version)]
