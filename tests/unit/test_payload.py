"""One Intercept applied: all of it or nothing, and what it came to (R8, R9)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookbus.dispatch.payload import Change, Payload, change
from hookbus.errors import BadPatch
from hookbus.snapshot import Binding, Limits

EVENT = b'{"id": "1", "n": 1.0e2, "data": {"text": "hi", "user": "u"}}'
BINDING = Binding(plugin="a", hook="h", version="1.0.0", type="x_done", phase="mutate")


def changed(kind: str, value: Any, **limits: Any) -> Change:
    payload = Payload(msgspec.json.decode(EVENT)["data"], EVENT)
    return change(payload, BINDING, (kind, value), Limits(**limits))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("patch", [{"op": "replace", "path": "/text", "value": "new"}]),
        ("merge", {"text": "new"}),
        ("data", {"text": "new", "user": "u"}),
    ],
)
def test_each_kind_changes_the_data_and_nothing_around_it(kind: str, value: Any) -> None:
    done = changed(kind, value)

    assert done.payload.data == {"text": "new", "user": "u"}
    assert done.pointers == ("/text",)
    assert done.payload.event == b'{"id":"1","n":1.0e2,"data":{"text":"new","user":"u"}}'


def test_the_three_kinds_of_one_change_are_the_same_patch() -> None:
    operations = [
        changed("patch", [{"op": "replace", "path": "/text", "value": "new"}]).operations,
        changed("merge", {"text": "new"}).operations,
        changed("data", {"text": "new", "user": "u"}).operations,
    ]

    assert operations[0] == operations[1] == operations[2]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("patch", []),
        ("patch", [{"op": "test", "path": "/text", "value": "hi"}]),
        ("patch", [{"op": "replace", "path": "/text", "value": "hi"}]),
        ("merge", {}),
        ("merge", {"missing": None}),
        ("data", {"user": "u", "text": "hi"}),
    ],
)
def test_what_changes_nothing_leaves_the_very_same_payload(kind: str, value: Any) -> None:
    payload = Payload(msgspec.json.decode(EVENT)["data"], EVENT)

    done = change(payload, BINDING, (kind, value), Limits())

    assert done.payload is payload
    assert done.pointers == ()


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_the_whole_data_may_become_any_json(value: Any) -> None:
    done = changed("data", value)

    assert done.payload.data == value
    assert done.pointers == ("",)


def test_a_patch_that_fails_half_way_leaves_the_payload_as_it_was() -> None:
    payload = Payload(msgspec.json.decode(EVENT)["data"], EVENT)
    half = [{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/missing"}]

    with pytest.raises(BadPatch):
        change(payload, BINDING, ("patch", half), Limits())

    assert payload.data == {"text": "hi", "user": "u"}
    assert payload.event is EVENT


@pytest.mark.parametrize("kind", ["merge", "data"])
def test_a_change_beyond_the_largest_event_is_refused_with_both_numbers(kind: str) -> None:
    with pytest.raises(BadPatch, match=r"would take \d{4} bytes, at most 2000"):
        changed(kind, {"text": "x" * 3_000}, max_event_bytes=2_000)


@pytest.mark.parametrize("kind", ["merge", "data"])
def test_a_change_that_grows_too_much_is_refused(kind: str) -> None:
    changed(kind, {"text": "x" * 60_000})

    with pytest.raises(BadPatch, match="grow"):
        changed(kind, {"text": "x" * 70_000})


@pytest.mark.parametrize("kind", ["merge", "data"])
def test_a_change_that_nests_too_deep_is_refused(kind: str) -> None:
    deep: Any = 1
    for _ in range(64):
        deep = {"x": deep}

    with pytest.raises(BadPatch, match="64 levels"):
        changed(kind, {"deep": deep})
