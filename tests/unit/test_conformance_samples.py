"""Payloads that are made from a schema fit it, or it is said that none could be made."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus.catalog import BUILT_IN, Catalog
from hookbus.conformance.samples import NoSample, pick_type, sample


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_type_has_a_payload_that_fits(name: str) -> None:
    Catalog({}).get(name).check(sample(name, None))


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        (True, {}),
        ({"const": 5}, 5),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "minLength": 7, "maxLength": 8}, "helloxx"),
        ({"type": "string", "format": "date"}, "2026-11-21"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": ["boolean", "null"]}, True),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, 1),
        (
            {
                "properties": {"who": {"$ref": "#/$defs/name"}, "age": {"type": "integer"}},
                "required": ["who"],
                "additionalProperties": False,
                "$defs": {"name": {"type": "string", "examples": ["Ada"]}},
            },
            {"who": "Ada"},
        ),
    ],
)
def test_a_payload_follows_its_schema(schema: Any, made: Any) -> None:
    assert sample("chat.sent", schema) == made


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "string", "pattern": "^[0-9]{4}$"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
)
def test_where_no_payload_fits_that_is_said(schema: Any) -> None:
    with pytest.raises(NoSample, match=r"fits the schema of 'chat\.sent'"):
        sample("chat.sent", schema)


def test_a_stricter_schema_of_a_built_in_type_counts() -> None:
    schema = {"type": "object", "required": ["room"], "properties": {"room": {"type": "string"}}}

    assert sample("message_received", schema) == {"room": "hello"}


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        (">", "message_received"),
        ("tool_invoked", "tool_invoked"),
        ("chat.*", "chat.sent"),
        ("odd.*", "odd.conformance"),
    ],
)
def test_a_pattern_stands_for_a_type_that_is_known(pattern: str, chosen: str) -> None:
    assert pick_type(pattern, ["zoo.fed", "chat.sent"]) == chosen
