"""Merge patches applied: the examples of RFC 7396 and the limit of depth."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookbus import patches
from hookbus.errors import BadPatch

RFC_7396_APPENDIX = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": 1}, {}, {"a": 1}),
    ({}, {"a": [None, {"b": None}]}, {"a": [None, {"b": None}]}),
]


@pytest.mark.parametrize(("document", "merge_patch", "expected"), RFC_7396_APPENDIX)
def test_a_merge_patch_applies_and_leaves_its_input_alone(
    document: object, merge_patch: object, expected: object
) -> None:
    before = msgspec.json.encode([document, merge_patch])

    result = patches.merge(document, merge_patch)

    assert result == expected
    assert msgspec.json.encode([document, merge_patch]) == before


def _arrays(levels: int) -> Any:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def _objects(levels: int) -> Any:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_merge_may_nest_64_levels_and_no_more() -> None:
    assert patches.merge({}, _objects(64)) == _objects(64)
    assert patches.merge({}, {"a": _arrays(63)}) == {"a": _arrays(63)}
    with pytest.raises(BadPatch, match=r"merge patch at '(/a){64}': .* deeper than 64 levels"):
        patches.merge({}, _objects(65))
    with pytest.raises(BadPatch, match=r"merge patch at '/a': .* deeper than 64 levels"):
        patches.merge({}, {"a": _arrays(64)})
    with pytest.raises(BadPatch, match="deeper than 64 levels"):
        patches.merge({}, _objects(50_000))
