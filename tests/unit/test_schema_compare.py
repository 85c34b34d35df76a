"""Whether yesterday's events still fit: what is said to be compatible is, and what refuses does."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookbus.schemas.compare import Comparison, compare
from hookbus.schemas.compiled import compile_schema
from tests.unit.schema_strategies import changed, data, schemas

#: A short sample here; `python -m tests.long properties` tries many.
EXAMPLES = int(os.environ.get("HOOKBUS_EXAMPLES", "60"))
CALM = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def is_schema(schema: Any) -> bool:
    try:
        compile_schema(schema)
    except ValueError:
        return False
    return True


def holds(old: Any, new: Any, events: list[Any]) -> Comparison:
    """Compare, and see that what is said is so."""
    said = compare(old, new)
    before, after = compile_schema(old), compile_schema(new)
    if said.verdict == "compatible":
        for event in events:
            assert after.is_valid(event) or not before.is_valid(event), (old, new, event)
    for change in said.changes:
        if change.verdict == "refuses" and change.event is not msgspec.UNSET:  # it is too long
            assert before.is_valid(change.event)
            assert not after.is_valid(change.event)
    return said


@CALM
@given(schemas.filter(is_schema), st.data())
def test_what_is_compatible_takes_all_that_fitted(old: Any, drawn: st.DataObject) -> None:
    new = drawn.draw(changed(old).filter(is_schema))
    events = drawn.draw(st.lists(data, min_size=10, max_size=40))

    holds(old, new, events)


@CALM
@given(schemas.filter(is_schema), schemas.filter(is_schema), st.lists(data, max_size=40))
def test_of_two_schemas_that_have_nothing_to_do_with_each_other_too(
    old: Any, new: Any, events: list[Any]
) -> None:
    holds(old, new, events)


ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "total": {"type": "number", "minimum": 0},
        "currency": {"enum": ["eur", "usd"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "maxItems": 3},
    },
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}}},
}


def order(**keywords: Any) -> dict[str, Any]:
    return {**ORDER, **keywords}


def field(name: str, schema: Any, **keywords: Any) -> dict[str, Any]:
    return order(properties={**ORDER["properties"], name: schema}, **keywords)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ORDER, ORDER),
        (ORDER, True),
        (ORDER, order(title="An order", description="…", examples=[{"id": "1"}])),
        (ORDER, order(required=[])),
        (ORDER, field("total", {"type": "number", "minimum": -5})),
        (ORDER, field("total", {"type": ["number", "null"]})),
        (ORDER, field("currency", {"enum": ["eur", "usd", "gbp"]})),
        (ORDER, field("currency", {"type": "string"})),
        (ORDER, field("id", {"anyOf": [{"type": "string"}, {"type": "integer"}]})),
        (ORDER, {"$ref": "#/$defs/order", "$defs": {**ORDER["$defs"], "order": ORDER}}),
        (ORDER, {"allOf": [ORDER, {"required": ["id"]}], "$defs": ORDER["$defs"]}),
        (order(additionalProperties=False), field("coupon", {"type": "string"})),
        (order(additionalProperties={"type": "string"}), field("coupon", {"type": "string"})),
        ({"properties": {"a": False}}, {"properties": {"a": {"type": "string"}}}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "multipleOf": 1}, {"type": "integer"}),
        ({"multipleOf": 6}, {"multipleOf": 3}),
        ({"type": "string", "pattern": "^a"}, {"pattern": "^a"}),
        ({"type": "null"}, {"pattern": "^a", "minItems": 3, "required": ["x"]}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
        (
            {
                "allOf": [
                    {"anyOf": [{"type": "string"}, kind]}
                    for kind in ({"type": "null"}, {"type": "array"})
                ]
            },
            {"type": "string"},
        ),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"patternProperties": {"^x": {"type": "integer"}}},
            {"patternProperties": {"^x": {"type": "number"}}},
        ),
        ({"prefixItems": [{"type": "string"}], "items": False}, {"items": {"type": "string"}}),
        (
            {"properties": {"n": {"type": "integer"}, "kids": {"items": {"$ref": "#"}}}},
            {"properties": {"n": {"type": "number"}, "kids": {"items": {"$ref": "#"}}}},
        ),
    ],
)
def test_a_wider_schema_is_compatible(old: Any, new: Any) -> None:
    assert holds(old, new, []).verdict == "compatible"


@pytest.mark.parametrize(
    ("old", "new", "pointer", "said"),
    [
        (ORDER, order(required=["id", "total"]), "/required", '"total" is required now'),
        (
            ORDER,
            field("total", {"type": "integer", "minimum": 0}),
            "/properties/total/type",
            "was number, now integer",
        ),
        (
            ORDER,
            field("total", {"type": "number", "minimum": 1}),
            "/properties/total/minimum",
            "now at least 1; before from 0",
        ),
        (
            ORDER,
            field("total", {"type": "number", "minimum": 0, "maximum": 9}),
            "/properties/total/maximum",
            "now at most 9; before without a limit",
        ),
        (
            ORDER,
            field("currency", {"enum": ["eur"]}),
            "/properties/currency",
            'it may no longer be "usd"',
        ),
        (
            ORDER,
            field("id", {"type": "string", "pattern": "^o-"}),
            "/properties/id/pattern",
            'has to match "^o-" now',
        ),
        (
            ORDER,
            field("id", {"type": "string", "maxLength": 9}),
            "/properties/id/maxLength",
            "now at most 9 characters; before any number",
        ),
        (
            ORDER,
            field("id", {"type": "string", "format": "uuid"}),
            "/properties/id/format",
            'has to be a "uuid" now',
        ),
        (ORDER, field("id", False), "/properties/id", '"id" is refused now'),
        (
            ORDER,
            order(additionalProperties=False),
            "/additionalProperties",
            "other fields are refused",
        ),
        (
            ORDER,
            field("coupon", {"type": "string"}),
            "/properties/coupon/type",
            '"coupon" could hold anything before: was anything, now string',
        ),
        (
            ORDER,
            field("lines", {"type": "array", "maxItems": 2}),
            "/properties/lines/maxItems",
            "now at most 2 items; before 3",
        ),
        (
            ORDER,
            order(**{"$defs": {"line": {"type": "object", "required": ["sku"]}}}),
            "/$defs/line/required",
            '"sku" is required now',
        ),
        (True, {"type": "object"}, "/type", "was anything, now object"),
        (True, False, "", "nothing fits any more"),
    ],
)
def test_a_narrower_one_refuses_and_an_event_proves_it(
    old: Any, new: Any, pointer: str, said: str
) -> None:
    found = holds(old, new, [])

    assert found.verdict == "refuses"
    [change] = [c for c in found.changes if c.pointer == pointer]
    assert (change.verdict, change.message) == ("refuses", said)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string"}, {"type": "string", "pattern": ".*"}),
        ({"oneOf": [{"type": "string"}]}, {"oneOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "integer"}, {"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
        ({"type": "string", "minLength": 1}, {"not": {"const": ""}}),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$id": "http://x/a"}}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"$id": "http://x/b"}}},
        ),
    ],
)
def test_what_nobody_can_tell_is_never_said_to_be_compatible(old: Any, new: Any) -> None:
    assert holds(old, new, []).verdict == "unknown"


def test_an_example_of_the_old_schema_that_fits_no_more_is_a_proof() -> None:
    old = {"type": "string", "examples": ["o-1"]}
    new = {"type": "string", "not": {"pattern": "^o"}}

    found = compare(old, new)

    assert found.verdict == "refuses"
    assert ("/not", "o-1") in [(change.pointer, change.event) for change in found.changes]


def test_any_json_is_the_widest_schema_there_is() -> None:
    assert compare(None, None).verdict == compare(ORDER, None).verdict == "compatible"
    assert compare(None, ORDER).verdict == "refuses"


@pytest.mark.parametrize("width", [2, 8])
def test_schemas_that_grow_without_end_are_given_up_soon(width: int) -> None:
    def doubled(leaf: Any) -> dict[str, Any]:
        members = [f"m{n}" for n in range(width)]
        definitions = {
            f"d{n}": {
                "required": members,
                "properties": {m: {"$ref": f"#/$defs/d{n + 1}"} for m in members},
            }
            for n in range(20)
        }
        return {"$ref": "#/$defs/d0", "$defs": {**definitions, "d20": leaf}}

    assert (
        compare(doubled({"type": "number"}), doubled({"type": "integer"})).verdict != "compatible"
    )
    assert (
        compare(doubled({"type": "integer"}), doubled({"type": "number"})).verdict == "compatible"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"contains": {"const": 1}},
            {"contains": {"const": 1}, "maxContains": 1},
        ),
        (
            {"patternProperties": {"^a": {}}, "additionalProperties": {"type": "string"}},
            {"additionalProperties": {"type": "string"}},
        ),
        (
            {"$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x", "type": "string"}}},
            {"$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x", "type": "integer"}}},
        ),
        ({"enum": [0, 1]}, {"enum": [False, True]}),
        ({"const": 1}, {"const": True}),
    ],
)
def test_what_refuses_in_a_corner_is_never_compatible(old: Any, new: Any) -> None:
    assert compare(old, new).verdict != "compatible"
