"""What verdict_bytes keeps, what it leaves out, and what it takes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hookbus import Decision, PluginRecord, verdict_bytes
from hookbus.models import EventRef, OtherBlock

RECORD = PluginRecord(
    plugin="redact",
    hook="message-received",
    version="1.0.0",
    phase="mutate",
    verdict="intercept",
    ms=1.9,
    mutated=True,
    pointers=("/text",),
    notes=({"kind": "extended", "ms": 200},),
    annotations={"b": "2", "a": "1"},
)
DECISION = Decision(
    id="01890000-0000-7000-8000-000000000000",
    event=EventRef("e1", "/chat", "message_received"),
    outcome="intercept",
    principal="chat",
    warnings=("redact: größer",),
    records=(RECORD,),
    generation=12,
    trace_id="0af7651916cd43dd8448eb211c80319c",
    data={"text": "hi", "count": 1},
)
MESSAGE: dict[str, Any] = msgspec.to_builtins(DECISION)


def _with(**members: Any) -> Decision:
    return msgspec.structs.replace(DECISION, **members)


def test_the_bytes_are_canonical_json_without_ids_times_and_trace() -> None:
    expected = (
        '{"by":null,"cause":null,"code":null,"conflicts":[],"data":{"count":1,"text":"hi"},'
        '"degraded":false,"dry_run":false,"event":{"source":"/chat","type":"message_received"},'
        '"generation":12,"masked":[],"message":null,"others":[],"outcome":"intercept",'
        '"principal":"chat","reason":null,"records":[{"annotations":{"a":"1","b":"2"},'
        '"attempt":1,"code":null,"failure":null,"hook":"message-received","mode":"enforce",'
        '"mutated":true,"notes":[{"kind":"extended","ms":200}],"patch_hash":null,'
        '"phase":"mutate","plugin":"redact","pointers":["/text"],"reason":null,'
        '"resolution":"enforced","round":1,"verdict":"intercept","version":"1.0.0"}],"v":1,'
        '"warnings":["redact: größer"]}'
    )

    found = verdict_bytes(DECISION)

    assert found.decode() == expected


@pytest.mark.parametrize(
    "other",
    [
        _with(id="01890000-0000-7000-8000-000000000001"),
        _with(trace_id=None),
        _with(event=EventRef("e2", "/chat", "message_received")),
        _with(records=(msgspec.structs.replace(RECORD, ms=250.0),)),
        _with(data={"count": 1.0, "text": "hi"}),
    ],
)
def test_what_differs_from_run_to_run_does_not_change_the_bytes(other: Decision) -> None:
    assert verdict_bytes(other) == verdict_bytes(DECISION)


@pytest.mark.parametrize(
    "other",
    [
        _with(outcome="continue"),
        _with(generation=13),
        _with(degraded=True),
        _with(dry_run=True),
        _with(principal="mail"),
        _with(event=EventRef("e1", "/mail", "message_received")),
        _with(data={"count": True, "text": "hi"}),
        _with(warnings=()),
        _with(others=(OtherBlock(by="a", cause="verdict", code=None, reason="a: no"),)),
        _with(conflicts=({"path": "/text", "loser": "a", "winner": "b"},)),
        _with(records=(msgspec.structs.replace(RECORD, attempt=2),)),
        _with(records=(msgspec.structs.replace(RECORD, version="1.0.1"),)),
        _with(records=(RECORD, RECORD)),
    ],
)
def test_everything_else_changes_the_bytes(other: Decision) -> None:
    assert verdict_bytes(other) != verdict_bytes(DECISION)


def test_a_message_decoded_or_not_gives_the_bytes_of_the_decision() -> None:
    reordered = dict(reversed(MESSAGE.items()))

    assert verdict_bytes(reordered) == verdict_bytes(DECISION)
    assert verdict_bytes(json.dumps(reordered, indent=1).encode()) == verdict_bytes(DECISION)


@pytest.mark.parametrize("data", [{"text": "the emitter's own"}, None])
def test_data_counts_on_intercept_only_so_that_message_and_sdk_agree(data: Any) -> None:
    of_the_sdk = _with(outcome="continue", data=data)
    of_the_wire = _with(outcome="continue", data=msgspec.UNSET)

    assert verdict_bytes(of_the_sdk) == verdict_bytes(msgspec.json.encode(of_the_wire))


def test_an_intercept_to_null_keeps_its_data() -> None:
    assert b'"data":null' in verdict_bytes(_with(data=None))


def test_members_that_version_1_does_not_know_do_not_count() -> None:
    assert verdict_bytes({**MESSAGE, "weather": "fine"}) == verdict_bytes(DECISION)


def test_a_missing_member_has_its_default() -> None:
    shorter = {name: value for name, value in MESSAGE.items() if name != "masked"}

    assert verdict_bytes(shorter) == verdict_bytes(DECISION)


@pytest.mark.parametrize(
    "message", [b"", b"\xff", b"[]", b'{"v":1,"error":{"code":"invalid_event"}}', {"v": 1}]
)
def test_what_is_no_decision_is_refused(message: Any) -> None:
    with pytest.raises(ValueError, match="expected a decision of version 1"):
        verdict_bytes(message)
