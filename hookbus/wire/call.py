"""Calls: what a plugin is asked, put together around the event's own bytes. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from hookbus.models import Decision
from hookbus.wire.trace import Trace

_CALL: Final = (
    b'{"v":1,"call":"%b","attempt":%d,"round":%d,%b,"timeout_ms":%d,"generation":%d%b,"event":%b}'
)

_encode = msgspec.json.Encoder().encode


class Call(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A call as the plugin's side decodes it.

    Attributes:
        timeout_ms: how long the dispatcher waits, from when it sent the call.
    """

    v: Literal[1]
    call: str
    plugin: str
    hook: str
    phase: str
    timeout_ms: int
    event: dict[str, Any]
    attempt: int = 1
    round: int = 1
    generation: int = 0
    traceparent: str | None = None


class Observed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An observer's message as the plugin's side decodes it; *decision* has no data.

    Anything else that a stream delivers, such as a decision, is refused: who may read a stream can
    have it delivered to any subject.
    """

    v: Literal[1]
    phase: Literal["observe"]
    event: dict[str, Any]
    principal: str = ""
    traceparent: str | None = None
    decision: Decision | None = None


def call_target(plugin: str, hook: str, phase: str) -> bytes:
    """The part of a call that is the same for every event, made once per binding."""
    return b'"plugin":%b,"hook":%b,"phase":%b' % (_encode(plugin), _encode(hook), _encode(phase))


def trace_member(trace: Trace | None) -> bytes:
    """The ``traceparent`` member with its comma; nothing unless the trace is sampled."""
    if trace is None or not trace.is_sampled:
        return b""
    return b',"traceparent":%b' % _encode(trace.traceparent)


def encode_call(
    call_id: str, attempt: int, target: bytes, timeout_ms: int, tail: CallTail
) -> bytes:
    """Put one call together; *target* comes from :func:`call_target`."""
    return _CALL % (
        call_id.encode(),
        attempt,
        tail.round,
        target,
        timeout_ms,
        tail.generation,
        tail.trace,
        tail.event,
    )


class CallTail(msgspec.Struct, frozen=True, gc=False):
    """The part of a call that is the same for every plugin of one stage."""

    round: int
    generation: int
    trace: bytes
    event: bytes


def encode_observed(
    principal: str, event: bytes, decision: bytes, trace: Trace | None = None
) -> bytes:
    """Put an observer's message together; *decision* is ``b"null"`` for a notified event."""
    return b'{"v":1,"phase":"observe","principal":%b%b,"event":%b,"decision":%b}' % (
        _encode(principal),
        trace_member(trace),
        event,
        decision,
    )


def whole_milliseconds(seconds: float) -> int:
    """Round down to at least 1 ms; binary noise below a nanosecond does not count."""
    milliseconds = int(seconds * 1000 + 1e-6)
    return milliseconds if milliseconds > 1 else 1


decode_call = msgspec.json.Decoder(Call).decode
decode_observed = msgspec.json.Decoder(Observed).decode
