"""Checks with bytes that no dispatcher should send: the next valid call must be answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

from hookbus.conformance.caller import Caller, call_body
from hookbus.conformance.check import Check, Probe
from hookbus.conformance.report import Seen, failed, passed, skipped
from hookbus.conformance.target import Hook

LARGE_EVENT: Final = 512 * 1024  # bytes; the bus's own default limit
DEEP: Final = 5_000  # levels; far beyond the bus's 64, and what most parsers recurse into
HOSTILE_TIMEOUT_MS: Final = 1_000
DYING: Final = 0.1  # seconds that a process takes to end: what comes at once it may yet answer

_EVENT: Final = b'"event":{'

Make: TypeAlias = Callable[[Hook, str], bytes]


def _malformed(hook: Hook, call: str) -> bytes:
    body = call_body(hook, call)
    return body[: len(body) // 2]


def _empty(hook: Hook, call: str) -> bytes:
    return b""


def _deep(hook: Hook, call: str) -> bytes:
    nested = b"[" * DEEP + b"]" * DEEP
    return _with_attribute(call_body(hook, call), b'"deep":' + nested)


def _invalid_utf8(hook: Hook, call: str) -> bytes:
    return _with_attribute(call_body(hook, call), b'"broken":"\xff\xfe"')


def _large(hook: Hook, call: str) -> bytes:
    padding = "x" * LARGE_EVENT
    data: Any = {**hook.data, "padding": padding} if isinstance(hook.data, dict) else padding
    return call_body(replace(hook, data=data), call, timeout_ms=HOSTILE_TIMEOUT_MS)


def _with_attribute(body: bytes, member: bytes) -> bytes:
    """Put one more attribute into the event of an encoded call."""
    return body.replace(_EVENT, _EVENT + member + b",", 1)


def _survives(what: str, make: Make) -> Callable[[Probe], Any]:
    async def look(probe: Probe) -> Seen:
        caller: Caller = probe.caller
        size = len(make(probe.hook, ""))
        if size > caller.transport.max_payload:
            return skipped(f"the broker takes {caller.transport.max_payload} bytes at most")
        hostile = await caller.send(probe.hook, lambda call: make(probe.hook, call))
        await hostile.wait(DYING)
        exchange = await probe.ask()
        if exchange.is_absent:
            return failed(f"after {what} nothing is subscribed any more")
        if exchange.answer is None:
            return failed(f"after {what} the next call was not answered")
        return passed(f"the call after {what} was answered")

    return look


_RULE: Final = "What a plugin cannot read it drops; the next call is answered all the same."

#: Each needs the one before: what one of them killed cannot fail the next.
ROBUSTNESS: Final = (
    Check("malformed-json", _RULE, _survives("malformed JSON", _malformed)),
    Check("empty-body", _RULE, _survives("an empty body", _empty), needs=("malformed-json",)),
    Check(
        "deep-json",
        "Members that a plugin does not know may be anything; the next call is answered.",
        _survives(f"JSON of {DEEP} levels", _deep),
        needs=("empty-body",),
    ),
    Check("invalid-utf8", _RULE, _survives("invalid UTF-8", _invalid_utf8), needs=("deep-json",)),
    Check(
        "large-event",
        "Events have up to 512 KiB by default; the call after a large one is answered.",
        _survives("an event of 512 KiB", _large),
        needs=("invalid-utf8",),
    ),
)
