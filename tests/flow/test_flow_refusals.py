"""Events that are refused, and the pointer of the field that is wrong; what the door accepts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hookbus.errors import InvalidEvent
from hookbus.wire.decision import decode_decision
from tests.flow.bus import Bus
from tests.flow.scripted import Scripted, says

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/t",
    "type": "message_received",
    "data": {"text": "hi"},
}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/t",
    "ce-type": "message_received",
    "Content-Type": "application/json",
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
DEEP_64 = '{"text":"hi","x":' + "[" * 63 + "]" * 63 + "}"
DEEP_65 = '{"text":"hi","x":' + "[" * 64 + "]" * 64 + "}"

#: Changes to a good event, None taking a member away; and what is refused at which pointer.
REFUSED = [
    pytest.param({"specversion": None}, "invalid_event", "/specversion", id="no-specversion"),
    pytest.param({"specversion": "0.3"}, "invalid_event", "/specversion", id="specversion"),
    pytest.param({"id": None}, "invalid_event", "/id", id="no-id"),
    pytest.param({"id": ""}, "invalid_event", "/id", id="empty-id"),
    pytest.param({"id": 7}, "invalid_event", "/id", id="id-is-a-number"),
    pytest.param({"source": None}, "invalid_event", "/source", id="no-source"),
    pytest.param({"source": ""}, "invalid_event", "/source", id="empty-source"),
    pytest.param({"type": None}, "invalid_event", "/type", id="no-type"),
    pytest.param({"type": "tool_invoked"}, "invalid_event", "/type", id="type-of-another-subject"),
    pytest.param({"time": 5}, "invalid_event", "/time", id="time-is-a-number"),
    pytest.param({"hbtimeoutms": 9}, "invalid_event", "/hbtimeoutms", id="timeout-too-short"),
    pytest.param({"hbtimeoutms": 0}, "invalid_event", "/hbtimeoutms", id="timeout-zero"),
    pytest.param({"hbtimeoutms": -5}, "invalid_event", "/hbtimeoutms", id="timeout-negative"),
    pytest.param({"hbtimeoutms": 10.5}, "invalid_event", "/hbtimeoutms", id="timeout-broken"),
    pytest.param({"hbtimeoutms": "500"}, "invalid_event", "/hbtimeoutms", id="timeout-is-a-text"),
    pytest.param({"hbdryrun": "yes"}, "invalid_event", "/hbdryrun", id="dry-run-is-a-text"),
    pytest.param({"hbchain": "a,,b"}, "invalid_event", "/hbchain", id="chain-with-a-gap"),
    pytest.param({"hbchain": "a,B!"}, "invalid_event", "/hbchain", id="chain-with-no-name"),
    pytest.param({"hbchain": ["a"]}, "invalid_event", "/hbchain", id="chain-is-a-list"),
    pytest.param({"dataref": "http://x"}, "invalid_event", "/dataref", id="dataref"),
    pytest.param({"data_base64": "aGk="}, "invalid_event", "/data_base64", id="base64"),
    pytest.param(
        {"datacontenttype": "text/xml"}, "invalid_event", "/datacontenttype", id="content-type"
    ),
    pytest.param({"data": None}, "schema", "/data", id="no-data"),
    pytest.param({"data": []}, "schema", "/data", id="data-is-a-list"),
    pytest.param({"data": {}}, "schema", "/data/text", id="missing-field"),
    pytest.param({"data": {"text": 5}}, "schema", "/data/text", id="wrong-field"),
    pytest.param({"data": {"text": "hi", "user": 1}}, "schema", "/data/user", id="wrong-optional"),
]
#: Bodies that are no event at all.
MALFORMED = [
    pytest.param(b"", id="empty"),
    pytest.param(b"hello", id="no-json"),
    pytest.param(b"[]", id="no-object"),
    pytest.param(b"{", id="cut-off"),
    pytest.param(b'{"specversion":"1.0"} x', id="trailing"),
    pytest.param(b"\xff\xfe\x00", id="no-utf8"),
    pytest.param(b'{"specversion":"1.0","x":"\xff"}', id="no-utf8-inside"),
    pytest.param(b'{"\xff":1}', id="no-utf8-key"),
    pytest.param(b"{" * 100_000, id="endless"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, id="endless-lists"),
]


@pytest.mark.parametrize(("change", "code", "pointer"), REFUSED)
async def test_a_wrong_field_is_refused_with_its_pointer(
    bus: Bus, change: dict[str, Any], code: str, pointer: str
) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    reply = await bus.send(_event(**change))

    error = msgspec.json.decode(reply.data)["error"]
    assert (error["code"], error["pointer"]) == (code, pointer)
    assert error["message"]
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == "400"
    assert reply.headers["Nats-Service-Error"]
    assert plugin.calls == []


@pytest.mark.parametrize("headers", [None, {"traceparent": TRACE}, {"Hookbus-Timeout-Ms": "500"}])
@pytest.mark.parametrize("body", MALFORMED)
async def test_what_is_no_event_is_refused_and_the_next_event_decided(
    bus: Bus, body: bytes, headers: dict[str, str] | None
) -> None:
    await bus.start()

    reply = await bus.send(body, headers=headers)
    decision = await bus.emit()

    assert msgspec.json.decode(reply.data)["error"]["code"] == "invalid_event"
    assert decision.outcome == "continue"
    assert bus.counters["refused"] == 1


async def test_an_unknown_type_is_refused_and_the_known_ones_are_named(bus: Bus) -> None:
    await bus.start(Scripted("a", type=">"))

    with pytest.raises(InvalidEvent) as refused:
        await bus.emit(type="never_heard")

    assert (refused.value.code, refused.value.pointer) == ("unknown_type", "/type")
    assert "message_received, response_generated, tool_invoked" in str(refused.value)


async def test_a_type_that_the_settings_name_takes_any_json_when_it_has_no_schema(
    bus: Bus,
) -> None:
    await bus.start(types={"chat.closed": {}})

    decision = await bus.emit([1, None], type="chat.closed")

    assert decision.outcome == "continue"
    assert decision.data == [1, None]


async def test_a_schema_in_the_settings_is_enforced(bus: Bus) -> None:
    schema = {"type": "object", "properties": {"amount": {"type": "integer", "minimum": 0}}}
    await bus.start(types={"order_placed": {"schema": schema}})

    with pytest.raises(InvalidEvent) as refused:
        await bus.emit({"amount": -1}, type="order_placed")

    assert (refused.value.code, refused.value.pointer) == ("schema", "/data/amount")


async def test_a_pointer_escapes_what_json_pointer_wants_escaped(bus: Bus) -> None:
    schema = {"additionalProperties": {"type": "string"}}
    await bus.start(types={"order_placed": {"schema": schema}})

    with pytest.raises(InvalidEvent) as refused:
        await bus.emit({"a/b~c": 1}, type="order_placed")

    assert refused.value.pointer == "/data/a~1b~0c"


async def test_a_refusal_reaches_the_emitter_whatever_names_it_quotes(bus: Bus) -> None:
    schema = {"properties": {"amount": {}}, "additionalProperties": False}
    await bus.start(types={"order_placed": {"schema": schema}})

    with pytest.raises(InvalidEvent) as refused:
        await bus.emit({"a\r\n\0ü": 1}, type="order_placed")

    assert refused.value.pointer == "/data/a\r\n\0ü"


async def test_data_may_nest_64_levels(bus: Bus) -> None:
    await bus.start()

    reply = await bus.send(_event_with(DEEP_64))

    assert decode_decision(reply.data).outcome == "continue"


async def test_data_that_nests_deeper_is_refused_naming_the_limit(bus: Bus) -> None:
    await bus.start()

    reply = await bus.send(_event_with(DEEP_65))

    error = msgspec.json.decode(reply.data)["error"]
    assert (error["code"], error["pointer"]) == ("invalid_event", "/data")
    assert "64 levels" in error["message"]


async def test_brackets_inside_of_texts_are_no_levels(bus: Bus) -> None:
    await bus.start()

    decision = await bus.emit({"text": '[{"' * 500})

    assert decision.outcome == "continue"


async def test_of_a_repeated_key_the_last_counts(bus: Bus) -> None:
    await bus.start()
    body = _event().replace(b'{"spec', b'{"type":"nonsense","spec', 1)

    reply = await bus.send(body)

    assert decode_decision(reply.data).outcome == "continue"


async def test_attributes_that_nobody_knows_reach_the_plugin(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await bus.send(_event(subject="orders/1", myextension="yes", hbchain="x,y", hbdryrun=True))

    event = plugin.calls[0]["event"]
    assert (event["subject"], event["myextension"]) == ("orders/1", "yes")
    assert (event["hbchain"], event["hbdryrun"]) == ("x,y", True)


async def test_the_events_bytes_reach_the_plugin_as_they_came(bus: Bus) -> None:
    seen: list[bytes] = []
    await bus.start(Scripted("a"))
    await bus.transport.subscribe("hookbus.call.a.hook", lambda m: seen.append(m.data))
    await bus.transport.flush()
    body = b'{ "specversion":"1.0","id":"1","source":"/t","type":"message_received",'
    body += b'"data":{"text":"hi","big":123456789012345678901234567890,"e":1e2} }'

    await bus.send(body)
    await bus.until(lambda: bool(seen))

    assert body in seen[0]


async def test_a_dry_run_is_recorded_as_one(bus: Bus) -> None:
    await bus.start(Scripted("a"))

    decision = await bus.emit(dry_run=True)

    assert decision.dry_run


async def test_binary_mode_is_accepted_and_normalised(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    headers = {**BINARY, "ce-hbdryrun": "true", "ce-hbtimeoutms": "700", "ce-subject": "%C3%BC%20x"}

    reply = await bus.send(b'{"text":"hi"}', headers=headers)

    assert decode_decision(reply.data).dry_run
    assert plugin.calls[0]["event"] == {
        "specversion": "1.0",
        "id": "1",
        "source": "/t",
        "type": "message_received",
        "subject": "ü x",
        "datacontenttype": "application/json",
        "hbdryrun": True,
        "hbtimeoutms": 700,
        "data": {"text": "hi"},
    }


@pytest.mark.parametrize(
    ("headers", "body", "pointer"),
    [
        ({"ce-id": None}, b'{"text":"hi"}', "/id"),
        ({"ce-type": "tool_invoked"}, b'{"text":"hi"}', "/type"),
        ({"ce-hbtimeoutms": "soon"}, b'{"text":"hi"}', "/hbtimeoutms"),
        ({"Content-Type": "text/plain"}, b'"hi"', "/datacontenttype"),
        ({}, b"hi", "/data"),
        ({}, b'{"text":"\xff"}', "/data"),
        ({}, b"[" * 50_000, "/data"),
    ],
)
async def test_a_wrong_binary_event_is_refused_with_a_pointer(
    bus: Bus, headers: dict[str, str | None], body: bytes, pointer: str
) -> None:
    await bus.start()
    given = {k: v for k, v in {**BINARY, **headers}.items() if v is not None}

    reply = await bus.send(body, headers=given)

    error = msgspec.json.decode(reply.data)["error"]
    assert (error["code"], error["pointer"]) == ("invalid_event", pointer)


async def test_a_header_with_a_timeout_that_is_none_is_refused(bus: Bus) -> None:
    await bus.start()

    reply = await bus.send(_event(), headers={"hookbus-timeout-ms": "1s"})

    error = msgspec.json.decode(reply.data)["error"]
    assert (error["code"], error["pointer"]) == ("invalid_event", "/hbtimeoutms")


async def test_trace_headers_become_attributes_and_give_the_decision_its_trace_id(
    bus: Bus,
) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    reply = await bus.send(_event(), headers={"Traceparent": TRACE, "tracestate": "x=1"})

    assert decode_decision(reply.data).trace_id == "0af7651916cd43dd8448eb211c80319c"
    [call] = plugin.calls
    assert call["traceparent"] == call["event"]["traceparent"] == TRACE
    assert call["event"]["tracestate"] == "x=1"


async def test_an_attribute_wins_over_its_header(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await bus.send(_event(traceparent=TRACE), headers={"traceparent": NOT_SAMPLED})

    assert plugin.calls[0]["event"]["traceparent"] == TRACE


async def test_a_call_carries_no_traceparent_of_its_own_when_the_trace_is_not_sampled(
    bus: Bus,
) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    decision = await bus.emit(traceparent=NOT_SAMPLED)

    assert "traceparent" not in plugin.calls[0]
    assert decision.trace_id == "0af7651916cd43dd8448eb211c80319c"


async def test_a_broken_traceparent_counts_as_none(bus: Bus) -> None:
    await bus.start()

    decision = await bus.emit(traceparent="garbage")

    assert decision.outcome == "continue"
    assert decision.trace_id is None


async def test_a_changed_event_keeps_its_other_attributes(bus: Bus) -> None:
    last = Scripted("b", phase="mutate", priority=200)
    await bus.start(Scripted("a", says("intercept", merge={"x": 1}), phase="mutate"), last)

    await bus.send(_event(subject="s", other=[1, 2]))

    assert last.calls[0]["event"] == {
        **EVENT,
        "subject": "s",
        "other": [1, 2],
        "data": {"text": "hi", "x": 1},
    }


def _event(**changes: Any) -> bytes:
    members = {k: v for k, v in {**EVENT, **changes}.items() if v is not None}
    return json.dumps(members, separators=(",", ":")).encode()


def _event_with(data: str) -> bytes:
    return _event(data="HERE").replace(b'"HERE"', data.encode())
