"""Events at the door, member by member."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookbus.errors import InvalidEvent
from hookbus.wire.event import decode_event, replace_members

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/t",
    "type": "order_placed",
    "data": {"a": 1},
}


def decode(headers: dict[str, str] | None = None, **changes: Any) -> Any:
    body = json.dumps({**EVENT, **changes}).encode()
    return decode_event(body, headers, "chat", "order_placed")


def test_the_body_is_kept_byte_by_byte() -> None:
    body = b' {"specversion" : "1.0","id":"1","source":"/t","type":"order_placed","data":1.0e2}\n'

    inbound = decode_event(body, None, "chat", "order_placed")

    assert inbound.body is body
    assert inbound.principal == "chat"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/JSON; charset=utf-8", "application/vnd.x+json"],
)
def test_every_kind_of_json_is_a_content_type(content_type: str) -> None:
    assert decode(datacontenttype=content_type).event.datacontenttype == content_type


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonx", "json", ""])
def test_what_is_no_json_is_none(content_type: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode(datacontenttype=content_type)

    assert refused.value.pointer == "/datacontenttype"


def test_the_chain_is_taken_apart() -> None:
    assert decode(hbchain="a,b-2").chain == ("a", "b-2")
    assert decode(hbchain="").chain == ()
    assert decode().chain == ()


def test_only_true_is_a_dry_run() -> None:
    assert decode(hbdryrun=True).dry_run
    assert not decode(hbdryrun=False).dry_run
    assert not decode().dry_run


@pytest.mark.parametrize("subject_type", ["", "order_placed.x", "order"])
def test_the_type_of_the_subject_must_be_that_of_the_body(subject_type: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode_event(json.dumps(EVENT).encode(), None, "chat", subject_type)

    assert refused.value.pointer == "/type"


@pytest.mark.parametrize("value", [0, 9, -1, -(10**30)])
def test_a_timeout_below_ten_is_refused(value: int) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode(hbtimeoutms=value)

    assert refused.value.pointer == "/hbtimeoutms"


@pytest.mark.parametrize("value", [10, 10**30])
def test_a_timeout_from_ten_on_is_taken(value: int) -> None:
    assert decode(hbtimeoutms=value).event.hbtimeoutms == value


def test_a_structured_body_is_not_taken_for_a_binary_one() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "2",
        "Content-Type": "application/cloudevents+json",
    }

    assert decode(headers).event.id == "1"


def in_binary_mode(**attributes: str) -> Any:
    headers = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/t", "ce-type": "order_placed"}
    return decode_event(b"{}", headers | attributes, "chat", "order_placed")


@pytest.mark.parametrize(("text", "is_dry"), [("true", True), ("false", False)])
def test_a_header_says_whether_it_is_a_dry_run(text: str, is_dry: bool) -> None:
    assert in_binary_mode(**{"ce-hbdryrun": text}).dry_run is is_dry


@pytest.mark.parametrize("text", ["TRUE", "1", "maybe", ""])
def test_a_dry_run_that_is_not_spelt_so_is_refused_and_never_taken_for_real(text: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        in_binary_mode(**{"ce-hbdryrun": text})

    assert refused.value.pointer == "/hbdryrun"


@pytest.mark.parametrize("principal", ["Chat", "c_1", "-c", "c" * 64])
def test_a_principal_is_a_name(principal: str) -> None:
    with pytest.raises(InvalidEvent, match="the subject names the principal"):
        decode_event(json.dumps(EVENT).encode(), None, principal, "order_placed")


def test_replaced_members_leave_the_others_as_they_were() -> None:
    body = b'{"a": 1.0e2, "b" : [1, 2], "data":{"x":1}}'

    assert replace_members(body, {"data": 5}) == b'{"a":1.0e2,"b":[1, 2],"data":5}'
