"""The kinds of values that manifests and settings are made of, each with its own words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from hookbus.manifest.problems import shown
from hookbus.manifest.semver import is_version
from hookbus.subjects import (
    EVENT_TYPE,
    MAX_EVENT_TYPE_LENGTH,
    NAME,
    TYPE_PATTERN,
    is_event_type,
    is_name,
    is_type_pattern,
)

#: bytes; our own servers take 8 MiB in one message, 64 KiB are kept for what surrounds a payload
MAX_BODY_BYTES: Final = 8 * 1024 * 1024 - 64 * 1024
#: what every JSON library and every double keeps exact
LARGEST_INTEGER: Final = 2**53 - 1

_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """A validator that also says in JSON Schema what it takes, for editors."""

    check: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), **self.schema}


def between(low: int, high: int) -> Check:
    """Check that a number is within the bounds, both included; the message names both."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"expected {low} … {high}, got {shown(value)}")
        return value

    return Check(check, {"minimum": low, "maximum": high})


def at_least(low: int, most: int = LARGEST_INTEGER) -> Check:
    """Check that a number is not below *low*, nor so large that arithmetic would go wrong."""

    def check(value: float) -> float:
        # the comparisons are turned round so that nan fails them too
        if not value >= low:
            raise ValueError(f"expected {low} or more, got {shown(value)}")
        if not value <= most:
            raise ValueError(f"expected at most {most}, got {shown(value)}")
        return value

    return Check(check, {"minimum": low} | ({"maximum": most} if most < LARGEST_INTEGER else {}))


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


def whole(pattern: str) -> str:
    """Write a pattern that a text must match in full as JSON Schema wants it."""
    return f"^(?:{pattern})$"


Name = Annotated[str, Check(_check_name, {"pattern": whole(NAME.pattern)})]
EventType = Annotated[
    str,
    Check(
        _check_event_type,
        {"pattern": whole(EVENT_TYPE.pattern), "maxLength": MAX_EVENT_TYPE_LENGTH},
    ),
]
TypePattern = Annotated[
    str,
    Check(
        _check_type_pattern,
        {"pattern": whole(TYPE_PATTERN.pattern), "maxLength": MAX_EVENT_TYPE_LENGTH},
    ),
]
Pointer = Annotated[str, Check(_check_pointer, {"pattern": whole(_POINTER.pattern)})]
Version = Annotated[str, AfterValidator(_check_version)]
