"""Decisions, records and refusals as bytes."""

from __future__ import annotations

import msgspec
import pytest

from hookbus.models import Decision, EventRef, PluginRecord
from hookbus.wire.decision import (
    ErrorBody,
    decode_decision,
    decode_refusal,
    decode_reply,
    encode_decision,
    encode_record,
    encode_refusal,
    encode_with_data,
    is_stored,
)

DECISION = Decision(
    id="d",
    event=EventRef("1", "/t", "order_placed"),
    outcome="intercept",
    records=(PluginRecord(plugin="a", hook="h", version="1.0.0", phase="mutate"),),
    data={"x": 1},
)


def test_a_decision_survives_the_way_over_the_bus() -> None:
    assert decode_decision(encode_decision(DECISION)) == DECISION


def test_a_record_is_the_decision_without_its_data() -> None:
    record = msgspec.json.decode(encode_record(DECISION))

    assert "data" not in record
    assert (record["v"], record["id"], record["outcome"]) == (1, "d", "intercept")
    assert "data" in msgspec.json.decode(encode_decision(DECISION))


@pytest.mark.parametrize("data", [{"x": [1.5, "é"]}, None, [], {"data": {}}])
def test_record_and_data_together_are_the_decision_byte_for_byte(data: object) -> None:
    decision = msgspec.structs.replace(DECISION, data=data)

    record = encode_record(decision)

    assert encode_with_data(record, msgspec.json.encode(data)) == encode_decision(decision)


def test_a_decision_says_every_member_of_the_protocol() -> None:
    decision = msgspec.json.decode(encode_decision(DECISION))

    assert decision.keys() == {
        *("v", "id", "event", "principal", "dry_run", "outcome", "cause", "code", "by", "reason"),
        *("message", "others", "warnings", "conflicts", "masked", "records", "generation"),
        *("degraded", "trace_id", "data"),
    }
    assert decision["records"][0].keys() == {
        *("plugin", "hook", "version", "phase", "round", "attempt", "mode", "verdict", "failure"),
        *(
            "resolution",
            "code",
            "reason",
            "ms",
            "mutated",
            "pointers",
            "patch_hash",
            "notes",
        ),
        "annotations",
    }


def test_unknown_members_of_a_decision_are_ignored() -> None:
    body = encode_decision(DECISION).replace(b'{"v":1', b'{"future":[1],"v":1', 1)

    assert decode_decision(body) == DECISION


@pytest.mark.parametrize(
    ("code", "status"),
    [("invalid_event", "400"), ("unknown_type", "400"), ("schema", "400"), ("unavailable", "503")],
)
def test_a_refusal_is_told_by_its_headers_and_its_body(code: str, status: str) -> None:
    body, headers = encode_refusal(ErrorBody(code, "what is wrong", "/data/x"))

    assert headers["Nats-Service-Error-Code"] == status
    assert msgspec.json.decode(body) == {
        "v": 1,
        "error": {"code": code, "message": "what is wrong", "pointer": "/data/x"},
    }
    assert decode_refusal(body, headers) == ErrorBody(code, "what is wrong", "/data/x")


@pytest.mark.parametrize("message", ["two\nlines", "cr\r\nlf", "nul\0", "ü" * 500, "x" * 5_000])
def test_the_header_of_a_refusal_is_one_short_line_whatever_the_message_says(message: str) -> None:
    _, headers = encode_refusal(ErrorBody("invalid_event", message))

    line = headers["Nats-Service-Error"]
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 200


def test_a_decision_is_no_refusal() -> None:
    assert decode_refusal(encode_decision(DECISION), None) is None
    assert decode_refusal(encode_decision(DECISION), {"x": "y"}) is None


@pytest.mark.parametrize("body", [b"", b"garbage", b'"\xff"', b"{}"])
def test_a_refusal_with_a_broken_body_is_still_one(body: bytes) -> None:
    refusal = decode_refusal(
        body, {"Nats-Service-Error-Code": "400", "Nats-Service-Error": "no good"}
    )

    assert refusal == ErrorBody("unavailable", "no good")


@pytest.mark.parametrize(
    ("body", "is_so"),
    [
        (b'{"v": 1, "stored": true}', True),
        (b'{"v": 1, "stored": true, "more": 1}', True),
        (b'{"v": 1, "stored": false}', False),
        (b'{"v": 2, "stored": true}', None),
        (b'{"stored": true}', None),
        (b'{"v": 1}', None),
        (b"nonsense", None),
        (b"", None),
    ],
)
def test_a_notified_event_is_stored_only_if_the_answer_says_so(
    body: bytes, is_so: bool | None
) -> None:
    assert is_stored(body) is is_so


def test_a_503_is_unavailable_whatever_its_body_says() -> None:
    body = b'{"v": 1, "error": {"code": "schema", "message": "m"}}'

    refusal = decode_refusal(body, {"Nats-Service-Error-Code": "503"})

    assert refusal is not None
    assert (refusal.code, refusal.message) == ("unavailable", "m")


def test_a_decision_without_a_version_is_none() -> None:
    said = msgspec.json.decode(encode_decision(DECISION))
    assert decode_reply(msgspec.json.encode(said)) == DECISION

    del said["v"]

    with pytest.raises(msgspec.ValidationError, match="`v`"):
        decode_reply(msgspec.json.encode(said))
