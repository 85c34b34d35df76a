"""Operators' requests, read: what each member must be, and what is said if it is not. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.errors import ControlError
from hookbus.manifest.fields import LARGEST_INTEGER
from hookbus.manifest.problems import shown
from hookbus.wire.limits import NOT_JSON

MAX_OVERRIDE_S: Final = 10 * 365 * 24 * 3_600

#: Takes the principal and the request, and returns the answer's members.
Operation = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def read_request(body: bytes) -> dict[str, Any]:
    """Decode a request; this and all below raise `ControlError`."""
    try:
        request = msgspec.json.decode(body)
    except NOT_JSON as e:
        raise ControlError(f"not JSON: {e}", code="invalid_request") from e
    if not isinstance(request, dict) or request.get("v") != 1:
        raise ControlError("expected an object with v 1", code="invalid_request", pointer="/v")
    return request


def name_of(request: dict[str, Any], member: str = "plugin") -> str:
    name = request.get(member)
    if not isinstance(name, str) or not subjects.is_name(name):
        raise invalid(f"/{member}", f"expected a {member}'s name, got {shown(name)}")
    return name


def seconds_of(request: dict[str, Any]) -> int | None:
    """How long an override lasts; None has no end."""
    if request.get("for_s") is None:
        return None
    seconds = integer_of(request, "for_s", 1, MAX_OVERRIDE_S)
    if seconds == 0:
        raise invalid("/for_s", "expected an integer from 1, got 0; null has no end")
    return seconds


def flag_of(request: Mapping[str, Any], name: str) -> bool:
    """A slip here must not carry out what was only to be tried."""
    said = request.get(name)
    if said is not None and not isinstance(said, bool):
        raise invalid(f"/{name}", f"expected true or false, got {shown(said)}")
    return said is True


def integer_of(
    request: dict[str, Any], member: str, default: int, most: int = LARGEST_INTEGER
) -> int:
    value = request.get(member)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise invalid(f"/{member}", f"expected an integer, 0 … {most}, got {shown(value)}")
    return value


def invalid(pointer: str, message: str) -> ControlError:
    return ControlError(message, code="invalid_request", pointer=pointer)
