"""What is wrong with a schema is said at once, with pointers; a secret is found, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookbus.catalog import EventType, TypeSettings
from hookbus.schemas.problems import check_schema
from hookbus.schemas.secret_fields import MAX_PATHS
from hookbus.schemas.secret_values import secrets_in
from tests.unit.schema_strategies import schemas

SECRET = {"type": "string", "x-hookbus-secret": True}


def wrong(schema: Any) -> list[str]:
    return [problem.message for problem in check_schema(schema, "here")]


def masked(schema: Any, data: Any) -> dict[str, Any]:
    """What of *data* is secret, by its pointer."""
    assert wrong(schema) == []
    secrets = EventType("order_placed", TypeSettings(schema=schema)).secrets
    return dict(secrets_in(data, secrets))


def test_all_mistakes_are_said_at_once_with_their_pointers() -> None:
    said = wrong(
        {
            "type": "nonsense",
            "properties": {
                "a": {"minLength": "x"},
                "b": {"$ref": "#/$defs/nothing"},
                "c": {"$ref": "http://127.0.0.1:1/x.json"},
            },
        }
    )

    for pointer in ("/type", "/properties/a/minLength", "/properties/b/$ref", "/properties/c/$ref"):
        assert any(f": {pointer}: " in one for one in said), pointer
    assert len(said) == 4


@pytest.mark.parametrize("dialect", ["http://json-schema.org/draft-07/schema#", 5, "http://x/"])
def test_another_dialect_is_refused_in_words(dialect: Any) -> None:
    [said] = wrong({"$schema": dialect})

    assert said == (
        "expected a JSON Schema: /$schema: expected 2020-12,"
        " 'https://json-schema.org/draft/2020-12/schema', or no $schema"
    )


def test_the_dialect_may_be_named() -> None:
    assert wrong({"$schema": "https://json-schema.org/draft/2020-12/schema"}) == []


def test_examples_fit_the_schema_that_they_stand_in() -> None:
    said = wrong(
        {
            "examples": [{"a": "x"}, {"a": 7}],
            "properties": {
                "a": {"type": "string", "examples": ["x", 5]},
                "b c": {"$ref": "#/$defs/n"},
            },
            "$defs": {"n": {"items": {"type": "null"}, "examples": [[None], [1]]}},
        }
    )

    assert said == [
        "/examples/1: this example does not fit its schema: at '/a' the value is not of type"
        ' "string"',
        "/properties/a/examples/1: this example does not fit its schema: the value is not of type"
        ' "string"',
        "/$defs/n/examples/1: this example does not fit its schema: at '/0' the value is not of"
        ' type "null"',
    ]


def test_a_problem_with_an_example_shows_no_value() -> None:
    [said] = wrong({"type": "integer", "examples": ["hunter2"]})

    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("schema", "data", "found"),
    [
        ({"properties": {"a": SECRET}}, {"a": 1, "b": 2}, {"/a": 1}),
        ({"$ref": "#/$defs/s", "$defs": {"s": {"properties": {"a": SECRET}}}}, {"a": 1}, {"/a": 1}),
        (
            {"properties": {"a": {"$ref": "#s"}}, "$defs": {"x": {"$anchor": "s", **SECRET}}},
            {"a": 1},
            {"/a": 1},
        ),
        ({"allOf": [{}, {"properties": {"a": SECRET}}]}, {"a": 1}, {"/a": 1}),
        ({"anyOf": [{"properties": {"a": SECRET}}, {}]}, {"a": 1}, {"/a": 1}),
        ({"oneOf": [{"properties": {"a": SECRET}}]}, {"a": 1}, {"/a": 1}),
        ({"if": {"properties": {"a": SECRET}}}, {"a": 1}, {"/a": 1}),
        ({"if": True, "then": {"properties": {"a": SECRET}}}, {"a": 1}, {"/a": 1}),
        ({"if": False, "else": {"properties": {"a": SECRET}}}, {"a": 1}, {"/a": 1}),
        ({"dependentSchemas": {"b": {"properties": {"a": SECRET}}}}, {"a": 1, "b": 2}, {"/a": 1}),
        ({"items": SECRET}, ["x", "y"], {"/0": "x", "/1": "y"}),
        ({"contains": SECRET}, [1, "y"], {"/0": 1, "/1": "y"}),
        ({"prefixItems": [{}, SECRET]}, [1, 2, 3], {"/1": 2}),
        ({"unevaluatedItems": SECRET}, [1], {"/0": 1}),
        ({"additionalProperties": SECRET, "properties": {"a": {}}}, {"a": 1, "b": 2}, {"/b": 2}),
        ({"unevaluatedProperties": SECRET, "properties": {"a": {}}}, {"a": 1, "b": 2}, {"/b": 2}),
        (
            {"patternProperties": {"^x": {"properties": {"t": SECRET}}}},
            {"x": {"t": 1}},
            {"/x/t": 1},
        ),
        ({"patternProperties": {"^x": SECRET}}, {"x/y": 1}, {"/x~1y": 1}),
        (SECRET, "all of it", {"": "all of it"}),
    ],
)
def test_a_secret_field_is_found_wherever_its_mark_stands(
    schema: Any, data: Any, found: dict[str, Any]
) -> None:
    assert masked(schema, data) == found


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"properties": {"a": {"x-hookbus-secret": "yes"}}}, "/properties/a/x-hookbus-secret"),
        ({"propertys": {"a": SECRET}}, "/propertys/a/x-hookbus-secret"),
        ({"$defs": {"unused": SECRET}}, "/$defs/unused/x-hookbus-secret"),
        ({"not": {"properties": {"a": SECRET}}}, "/not/properties/a/x-hookbus-secret"),
        ({"propertyNames": SECRET}, "/propertyNames/x-hookbus-secret"),
        ({"contentSchema": SECRET}, "/contentSchema/x-hookbus-secret"),
        ({"dependencies": {"a": SECRET}}, "/dependencies"),
        (
            {"properties": {"t": SECRET, "kids": {"items": {"$ref": "#"}}}},
            "/properties/t/x-hookbus-secret",
        ),
        (
            {
                "properties": {"a": {"$dynamicRef": "#x"}, "b": SECRET},
                "$defs": {"y": {"$dynamicAnchor": "x"}},
            },
            "/properties/a/$dynamicRef",
        ),
        ({"properties": {"a": {"$id": "http://x/y", **SECRET}}}, "/properties/a/$id"),
    ],
)
def test_a_mark_that_would_mask_nothing_is_refused_with_its_pointer(
    schema: Any, pointer: str
) -> None:
    assert any(said.startswith(f"{pointer}: ") for said in wrong(schema)), wrong(schema)


def test_a_field_may_be_called_like_the_mark_and_data_may_hold_it() -> None:
    named = {"properties": {"x-hookbus-secret": {"type": "string"}}}

    assert masked(named, {"x-hookbus-secret": "plain"}) == {}
    assert wrong({"const": {"x-hookbus-secret": True}}) == []


@pytest.mark.parametrize("leaf", [SECRET, {"type": "string"}])
def test_definitions_that_double_the_paths_take_no_time(leaf: dict[str, Any]) -> None:
    doubled = {
        f"d{n}": {
            "properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}, "b": {"$ref": f"#/$defs/d{n + 1}"}}
        }
        for n in range(40)
    }
    schema = {"$ref": "#/$defs/d0", "properties": {"s": SECRET}, "$defs": {**doubled, "d40": leaf}}

    said = wrong(schema)

    assert any(f"more than {MAX_PATHS}" in one or "too many ways" in one for one in said)


@settings(max_examples=150, deadline=None)
@given(schemas, st.data())
def test_of_any_schema_something_can_be_said(schema: Any, drawn: st.DataObject) -> None:
    """Also with marks strewn in: checking never fails, and what passes can be masked."""
    places = drawn.draw(st.sets(st.sampled_from(("one", "two")), max_size=2))
    definitions = {
        name: {**inner, "x-hookbus-secret": True}
        if name in places and isinstance(inner, dict)
        else inner
        for name, inner in schema["$defs"].items()
    }
    schema = {**schema, "$defs": definitions}

    if not wrong(schema):
        list(secrets_in({"a": ["x"]}, EventType("x", TypeSettings(schema=schema)).secrets))


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "/$schema"),
        ({"properties": {"a": {"$recursiveRef": "#"}}}, "/properties/a/$recursiveRef"),
        ({"dependencies": {"a": ["b"]}}, "/dependencies"),
        ({"$defs": {"x": {"$anchor": "n"}, "y": {"$anchor": "n"}}}, "/$defs/y/$anchor"),
        ({"$ref": "#/foo", "foo": {"examples": 5}}, "/$ref"),
        ({"properties": {f"p{i}": {"pattern": "a"} for i in range(101)}}, "101 patterns"),
        ({"pattern": r"\p{L}{1000}{9}"}, "/pattern"),
    ],
)
def test_what_another_dialect_would_read_otherwise_is_refused(schema: Any, pointer: str) -> None:
    assert any(pointer in said for said in wrong(schema)), wrong(schema)
