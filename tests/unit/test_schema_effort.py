"""A schema with which one small event would hold the bus is refused; one that is large is not."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus.schemas.compare import compare
from hookbus.schemas.effort import takes_too_long
from hookbus.schemas.problems import check_schema

NODE = {"$ref": "#/$defs/node"}
Json = dict[str, Any]


def chain(length: int, twice: Json) -> Json:
    """Definitions of which each refers to the next one as *twice* says, by the words NEXT."""

    def named(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {k: named(v, name) for k, v in value.items()}
        if isinstance(value, list):
            return [named(v, name) for v in value]
        return {"$ref": f"#/$defs/{name}"} if value == "NEXT" else value

    links = {f"a{i}": named(twice, f"a{i + 1}") for i in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {"type": "integer"}}}


def recursive(node: Json) -> Json:
    return {**NODE, "$defs": {"node": node}}


@pytest.mark.parametrize(
    "schema",
    [
        chain(26, {"allOf": ["NEXT", "NEXT"]}),
        chain(26, {"anyOf": ["NEXT", {"not": "NEXT"}]}),
        chain(26, {"properties": {"x": {"allOf": ["NEXT", "NEXT"]}}}),
        chain(26, {"if": "NEXT", "then": "NEXT"}),
        recursive({"properties": {"x": {"allOf": [NODE, NODE]}}}),
        recursive({"items": NODE, "contains": NODE}),
        recursive({"additionalProperties": NODE, "patternProperties": {"a": NODE}}),
        recursive({"properties": {"a": NODE}, "patternProperties": {"a": NODE}}),
    ],
)
def test_what_doubles_with_every_step_is_refused(schema: Json) -> None:
    assert takes_too_long(schema)
    [problem] = check_schema(schema, "types.x.schema")
    assert "one value may be looked at more than 5000 times" in problem.message


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$ref": "#"},
        chain(8, {"allOf": ["NEXT", "NEXT"]}),
        recursive({"properties": {"left": NODE, "right": NODE}}),
        recursive({"items": NODE, "properties": {"a": NODE}, "additionalProperties": NODE}),
        recursive(
            {
                "oneOf": [
                    {"properties": {"and": {"items": NODE}}},
                    {"properties": {"or": {"items": NODE}}},
                    {"properties": {"not": NODE}},
                ]
            }
        ),
        {"properties": {f"p{i}": {"type": "string", "enum": ["a", "b"]} for i in range(1500)}},
        {
            "properties": {f"p{i}": {"$ref": "#x"} for i in range(1500)},
            "$defs": {"z": {"$anchor": "x"}},
        },
    ],
)
def test_what_is_large_or_contains_itself_is_not(schema: Any) -> None:
    assert not takes_too_long(schema)


def test_a_comparison_tries_so_many_events_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(
        "hookbus.schemas.compare._Trial.is_lost", lambda self, data: tried.append(data) or False
    )
    old = {"properties": {f"p{i}": {} for i in range(50)}}
    new = {"properties": {f"p{i}": {"not": {"const": i}} for i in range(50)}}

    assert compare(old, new).verdict == "unknown"
    assert 0 < len(tried) <= 200
