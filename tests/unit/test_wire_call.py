"""Calls and observers' messages, put together around the event's own bytes."""

from __future__ import annotations

import msgspec
import pytest

from hookbus.wire.call import (
    CallTail,
    call_target,
    decode_call,
    decode_observed,
    encode_call,
    encode_observed,
    trace_member,
    whole_milliseconds,
)
from hookbus.wire.trace import OWN, Trace

SAMPLED = Trace("a" * 32, "b" * 16, "01")
EVENT = b'{"id":"1", "n": 1.0e2, "text":"\xc3\xbc"}'


def test_a_call_is_one_object_around_the_events_own_bytes() -> None:
    target = call_target("redact", "message-received", "mutate")

    body = encode_call("x3", 2, target, 180, CallTail(3, 12, trace_member(SAMPLED), EVENT))

    assert EVENT in body
    assert msgspec.json.decode(body) == {
        "v": 1,
        "call": "x3",
        "attempt": 2,
        "round": 3,
        "plugin": "redact",
        "hook": "message-received",
        "phase": "mutate",
        "timeout_ms": 180,
        "generation": 12,
        "traceparent": SAMPLED.traceparent,
        "event": {"id": "1", "n": 100.0, "text": "ü"},
    }


def test_without_a_trace_there_is_no_traceparent() -> None:
    body = encode_call("x", 1, call_target("a", "h", "validate"), 5, CallTail(1, 1, b"", EVENT))

    assert b"traceparent" not in body
    assert decode_call(body).traceparent is None
    assert trace_member(None) == trace_member(OWN) == b""
    assert trace_member(msgspec.structs.replace(SAMPLED, flags="00")) == b""


def test_what_stands_in_a_name_cannot_break_out_of_its_member() -> None:
    target = call_target('a","x":"', "h", "validate")

    call = decode_call(encode_call("x", 1, target, 5, CallTail(1, 1, b"", EVENT)))

    assert call.plugin == 'a","x":"'


def test_an_observers_message_has_the_dispatchs_place_in_a_trace_that_is_sampled() -> None:
    observed = decode_observed(encode_observed("chat", EVENT, b"null", SAMPLED))

    assert observed.traceparent == SAMPLED.traceparent


def test_an_observers_message_names_the_principal() -> None:
    observed = decode_observed(encode_observed('ch"at', EVENT, b"null"))

    assert (observed.principal, observed.decision, observed.traceparent) == ('ch"at', None, None)
    assert observed.event["id"] == "1"


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(0.0001, 1), (0.0019, 1), (0.2, 200), (0.29, 290), (1.1, 1_100), (9.85, 9_850)],
)
def test_milliseconds_are_rounded_down_to_at_least_one(seconds: float, milliseconds: int) -> None:
    assert whole_milliseconds(seconds) == milliseconds
