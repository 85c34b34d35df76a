"""Event types and their schemas: pointers, messages that hold no values, and what is no schema."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hookbus.catalog import Catalog, TypeSettings, check_schema
from hookbus.errors import InvalidEvent


def refused(schema: Any, data: Any) -> InvalidEvent:
    catalog = Catalog({"order_placed": TypeSettings(schema=schema)})
    with pytest.raises(InvalidEvent) as error:
        catalog.get("order_placed").check(data)
    return error.value


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("message_received", {"text": "hi"}),
        ("message_received", {"text": "", "user": "u", "more": [1]}),
        ("tool_invoked", {"name": "ls", "args": {}}),
        ("response_generated", {"text": "hi", "model": "m"}),
    ],
)
def test_the_built_in_types_take_further_keys(event_type: str, data: Any) -> None:
    Catalog({}).get(event_type).check(data)


@pytest.mark.parametrize(
    ("event_type", "data", "pointer"),
    [
        ("message_received", {"text": "hi", "user": None}, "/data/user"),
        ("tool_invoked", {"name": "ls"}, "/data/args"),
        ("tool_invoked", {"name": "ls", "args": []}, "/data/args"),
        ("tool_invoked", {"args": {}}, "/data/name"),
        ("response_generated", "text", "/data"),
    ],
)
def test_the_built_in_types_name_the_field_that_is_wrong(
    event_type: str, data: Any, pointer: str
) -> None:
    with pytest.raises(InvalidEvent) as error:
        Catalog({}).get(event_type).check(data)

    assert (error.value.code, error.value.pointer) == ("schema", pointer)


@pytest.mark.parametrize(
    ("schema", "data", "pointer"),
    [
        ({"items": {"type": "integer"}}, [1, "x"], "/data/1"),
        ({"required": ["a/b"]}, {}, "/data/a~1b"),
        ({"properties": {}, "unevaluatedProperties": False}, {"x": 1}, "/data/x"),
        ({"properties": {"y": {}}, "additionalProperties": False}, {"x~": 1}, "/data/x~0"),
        (
            {"properties": {"a": {"properties": {"b": {"type": "null"}}}}},
            {"a": {"b": 1}},
            "/data/a/b",
        ),
        (False, {}, "/data"),
    ],
)
def test_a_violation_is_named_by_its_pointer(schema: Any, data: Any, pointer: str) -> None:
    assert refused(schema, data).pointer == pointer


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": {"const": 1}}},
        {"properties": {"x": {"enum": ["a"]}}},
        {"properties": {"x": {"maxLength": 2}}},
        {"properties": {"x": {"pattern": "^a$"}}},
        {"properties": {"x": {"type": "integer"}}},
        {"properties": {"x": {"format": "date"}}},
        {"properties": {"x": {"not": {}}}},
        {"properties": {"x": False}},
        {"anyOf": [{"properties": {"x": {"type": "integer"}}}, {"maxProperties": 0}]},
        {"maxProperties": 0},
    ],
)
def test_a_message_holds_no_value_of_the_data(schema: Any) -> None:
    assert "hunter2" not in refused(schema, {"x": "hunter2"}).message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"pattern": "("},
        {"description": "x" * 70_000},
    ],
)
def test_what_is_no_schema_or_points_outside_is_a_problem_in_words(schema: dict[str, Any]) -> None:
    [problem] = check_schema(schema, "types.x.schema")

    assert problem.at == "types.x.schema"
    assert problem.message.startswith("expected a JSON Schema: ")


def test_a_schema_that_nests_too_deep_is_a_problem() -> None:
    schema: dict[str, Any] = {}
    for _ in range(70):
        schema = {"not": schema}

    [problem] = check_schema(schema, "types.x.schema")

    assert "64 levels" in problem.message


def test_a_schema_may_refer_to_its_own_definitions() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/n"}}}

    assert check_schema(schema, "at") == ()
    assert refused(schema, {"x": "no"}).pointer == "/data/x"


def test_a_pattern_cannot_be_made_to_run_for_ever() -> None:
    catalog = Catalog({"order_placed": TypeSettings(schema={"pattern": "^(a+)+$"})})

    started = time.perf_counter()
    is_valid = catalog.get("order_placed").is_valid("a" * 50_000 + "!")

    assert not is_valid
    assert time.perf_counter() - started < 2.0


def test_an_unknown_type_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(InvalidEvent, match="known are message_received, order_placed") as error:
        Catalog({"order_placed": TypeSettings()}).get("order_lost")

    assert (error.value.code, error.value.pointer) == ("unknown_type", "/type")


def test_naming_a_built_in_type_without_a_schema_keeps_its_own() -> None:
    catalog = Catalog({"message_received": TypeSettings(timeout_ms=50)})

    assert not catalog.get("message_received").is_valid({})
    assert catalog.get("message_received").settings.timeout_ms == 50


def test_a_schema_in_the_settings_replaces_the_built_in_one() -> None:
    catalog = Catalog({"message_received": TypeSettings(schema={"type": "string"})})

    assert catalog.get("message_received").is_valid("hi")


def test_a_type_without_a_schema_takes_any_json() -> None:
    assert Catalog({"x_done": TypeSettings()}).get("x_done").is_valid([None, 1.5])
