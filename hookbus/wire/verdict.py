"""Verdicts: what a plugin answered, checked before it is believed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from hookbus.models import FailureClass
from hookbus.wire.limits import (
    MAX_CODE,
    MAX_DEPTH,
    MAX_TEXT,
    annotations_of,
    cut,
    cut_or_none,
    exceeds_depth,
    warnings_of,
)

NO_REASON: Final = "blocked without explanation"
ABSENT: Final = "response was absent"

ERROR_HEADER: Final = "Nats-Service-Error"
ERROR_CODE_HEADER: Final = "Nats-Service-Error-Code"
STATUS_HEADER: Final = "Status"


class Answer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One plugin's final answer: a verdict, or the class of its failure.

    Attributes:
        verdict: ``continue``, ``intercept`` or ``block``; None is a failure.
        change: on intercept, the name and the value of ``patch``, ``merge`` or ``data``.
    """

    verdict: str | None = None
    failure: FailureClass | None = None
    reason: str | None = None
    code: str | None = None
    message: str | None = None
    version: str | None = None
    change: tuple[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = {}


class Extend(msgspec.Struct, frozen=True, gc=False):
    """Not an answer yet: the plugin asks for more time."""

    extend_ms: int


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """Not this call's answer; *counter* says what was counted."""

    counter: str


class Expected(msgspec.Struct, eq=False):
    """What a reply must name to be believed."""

    plugin: str
    call: str
    attempt: int
    max_bytes: int


class _Reply(msgspec.Struct, frozen=True, gc=False):
    v: int
    call: str
    plugin: str
    verdict: str
    attempt: int | None = None
    version: str | None = None
    reason: str | None = None
    code: str | None = None
    message: str | None = None
    patch: Any = UNSET
    merge: Any = UNSET
    data: Any = UNSET
    extend_ms: int | None = None
    warnings: Any = None
    annotations: Any = None


_decode = msgspec.json.Decoder(_Reply).decode


_EXPECTED: Final = ": expected continue, intercept, block, error or extend"


def verify_reply(
    body: bytes, headers: Mapping[str, str] | None, expected: Expected
) -> Answer | Extend | Dropped:
    """Decide what a reply on a call's own subject means.

    A reply that does not say what it must say is a failure of its plugin; one that speaks for
    another plugin or an earlier attempt is dropped.
    """
    if headers:
        failed = _failed_by_header(body, headers)
        if failed is not None:
            return failed
    if not body:
        return failure("malformed", ABSENT)
    if len(body) > expected.max_bytes:
        return failure(
            "reply_too_large", f"reply of {len(body)} bytes, at most {expected.max_bytes}"
        )
    try:
        if not body.isascii():
            body.decode()
        reply = _decode(body)
    except msgspec.ValidationError as e:
        return _lenient(body, expected, str(e))
    except msgspec.DecodeError as e:
        return _lenient(body, expected, f"response is not JSON: {e}")
    except (UnicodeDecodeError, RecursionError) as e:
        return failure("malformed", f"response is not JSON: {e}")
    return _identity(reply, expected) or _answer(reply, body)


def failure(failure_class: FailureClass, reason: str) -> Answer:
    """Say that no usable answer was had; *reason* is cut."""
    return Answer(failure=failure_class, reason=cut(reason, MAX_TEXT))


def _failed_by_header(body: bytes, headers: Mapping[str, str]) -> Answer | Dropped | None:
    status = headers.get(STATUS_HEADER)
    if status is not None:
        if status == "503" and not body:
            return failure("no_responders", "no replica is subscribed")
        return Dropped("status_reply")
    given = {name.lower(): value for name, value in headers.items()}  # by hand in any case
    told = [given.get(name.lower()) for name in (ERROR_HEADER, ERROR_CODE_HEADER)]
    if told != [None, None]:
        return failure("service_error", told[0] or told[1] or "no description")
    return None


def _identity(reply: _Reply, expected: Expected) -> Answer | Dropped | None:
    """R13, R19: believe a reply only for the plugin, call and attempt that it names."""
    if reply.v != 1:
        return failure("malformed", f"expected v 1, got {reply.v}")
    if reply.plugin != expected.plugin:
        return Dropped("spoofed_reply")
    if reply.call != expected.call:
        return failure("uid_mismatch", "the reply names another call")
    if reply.attempt is None or reply.attempt > expected.attempt:
        return failure("uid_mismatch", f"expected attempt {expected.attempt}, got {reply.attempt}")
    if reply.attempt < expected.attempt:
        return Dropped("late_reply")
    return None


def _answer(reply: _Reply, body: bytes) -> Answer | Extend:
    verdict = reply.verdict
    if verdict == "block":
        return _with_details(reply)
    if verdict == "extend":
        return Extend(reply.extend_ms or 0)
    if verdict == "error":
        overloaded = reply.code == "overloaded"
        return failure(
            "overloaded" if overloaded else "service_error", reply.reason or "no description"
        )
    if verdict not in ("continue", "intercept"):
        return failure("unknown_verdict", f"{cut(verdict, MAX_CODE)!r} is not a verdict{_EXPECTED}")
    changes = _changes(reply)
    if verdict == "continue":
        if not changes:
            return _with_details(reply)
        found = " and ".join([name for name, _ in changes])
        return failure("malformed", f"continue with {found}; say intercept")
    if len(changes) != 1:
        found = " and ".join([name for name, _ in changes]) or "none"
        return failure("malformed", f"intercept takes one of patch, merge, data; got {found}")
    if exceeds_depth(body, MAX_DEPTH + 3):  # the reply, an operation list and an operation
        return failure("bad_patch", f"nested deeper than {MAX_DEPTH} levels")
    return _with_details(reply, changes[0])


def _changes(reply: _Reply) -> list[tuple[str, Any]]:
    """The name and the value of each change that the reply carries."""
    found = []
    if reply.patch is not UNSET:
        found.append(("patch", reply.patch))
    if reply.merge is not UNSET:
        found.append(("merge", reply.merge))
    if reply.data is not UNSET:
        found.append(("data", reply.data))
    return found


def _with_details(reply: _Reply, change: tuple[str, Any] | None = None) -> Answer:
    is_block = reply.verdict == "block"
    texts_are_none = reply.reason is reply.code is reply.message is None
    if texts_are_none and reply.warnings is reply.annotations is None and not is_block:
        version = reply.version  # what nearly every answer is
        return Answer(
            verdict=reply.verdict, version=version and cut(version, MAX_CODE), change=change
        )
    return Answer(
        verdict=reply.verdict,
        reason=cut_or_none(reply.reason, MAX_TEXT) or (NO_REASON if is_block else None),
        code=cut_or_none(reply.code, MAX_CODE),
        message=cut_or_none(reply.message, MAX_TEXT),
        version=cut_or_none(reply.version, MAX_CODE),
        change=change,
        warnings=warnings_of(reply.warnings),
        annotations=annotations_of(reply.annotations),
    )


def _lenient(body: bytes, expected: Expected, problem: str) -> Answer | Extend | Dropped:
    """A Block stays a Block, whatever the members beside it are; all else is malformed.

    The standard library takes what msgspec refuses: half of a surrogate pair, as JavaScript writes
    a reason that it cut inside an emoji, and numbers that no double holds.
    """
    try:
        members = json.loads(body.decode(), parse_int=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return failure("malformed", problem)
    if not isinstance(members, dict):
        return failure("malformed", "expected a JSON object")
    plugin = members.get("plugin")
    if isinstance(plugin, str) and plugin != expected.plugin:
        return Dropped("spoofed_reply")
    texts = {
        name: value.encode(errors="replace").decode()
        for name in ("version", "reason", "code", "message")
        if isinstance(value := members.get(name), str)
    }
    if members.get("verdict") != "block":
        return failure("malformed", problem)
    try:
        named = {name: members[name] for name in ("v", "call", "plugin", "verdict", "attempt")}
        reply = msgspec.convert({**named, **texts}, _Reply)
    except (KeyError, msgspec.ValidationError):
        return failure("malformed", problem)
    return _identity(reply, expected) or _with_details(reply)


def _number(text: str) -> float:
    return int(text) if len(text) < 20 else float(text)  # int() takes at most 4,300 digits


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


class Reply(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A verdict as the plugin's side encodes it."""

    v: int
    call: str
    attempt: int
    plugin: str
    version: str
    verdict: str
    reason: str | None = None
    code: str | None = None
    message: str | None = None
    patch: Any = msgspec.field(default=UNSET)
    merge: Any = msgspec.field(default=UNSET)
    data: Any = msgspec.field(default=UNSET)
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
