"""Depth of JSON without decoding it, and texts cut to a length."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookbus.wire.limits import annotations_of, cut, cut_or_none, exceeds_depth, warnings_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, dict | list)) + max(map(depth_of, inner), default=0)


@given(JSON, st.integers(0, 6))
def test_depth_is_counted_as_decoding_would(value: Any, limit: int) -> None:
    assert exceeds_depth(json.dumps(value).encode(), limit) == (depth_of(value) > limit)


@pytest.mark.parametrize(
    ("body", "limit", "expected"),
    [
        (b"1", 0, False),
        (b"[]", 0, True),
        (b"[]", 1, False),
        (b'{"a":[{}]}', 2, True),
        (b'{"a":[{}]}', 3, False),
        (b'["[[[[", "\\"[[["]', 1, False),
        (b'["\\\\", [[]]]', 2, True),
        (b"[],[],[],[]", 1, False),
    ],
)
def test_brackets_in_texts_and_side_by_side_add_no_level(
    body: bytes, limit: int, expected: bool
) -> None:
    assert exceeds_depth(body, limit) is expected


def test_a_text_is_cut_with_a_mark_to_exactly_the_limit() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"


def test_what_is_no_text_or_empty_is_none() -> None:
    nothing: tuple[object, ...] = ("", 5, None, [])

    assert {cut_or_none(value, 3) for value in nothing} == {None}
    assert cut_or_none("abcd", 3) == "ab…"


def test_at_most_ten_warnings_of_256_characters_are_kept() -> None:
    kept = warnings_of(["x" * 300, 5, *map(str, range(20))])

    assert len(kept) == 10
    assert len(kept[0]) == 256
    assert kept[1] == "0"


@pytest.mark.parametrize("value", [None, "text", {"a": 1}, 5])
def test_warnings_that_are_no_list_are_none(value: object) -> None:
    assert warnings_of(value) == ()


def test_annotations_are_texts_under_texts() -> None:
    assert annotations_of({"a": "b", "n": 1, "l": []}) == {"a": "b"}
    assert annotations_of(["a"]) == {}
