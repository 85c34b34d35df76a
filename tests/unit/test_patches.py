"""Pointers, JSON equality, differences, and what operations look like on the wire."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hookbus import patches
from hookbus.errors import BadPatch
from hookbus.patches import MISSING, Operation

SPLIT = [
    ("", ()),
    ("/", ("",)),
    ("/a", ("a",)),
    ("/a/b", ("a", "b")),
    ("//", ("", "")),
    ("/a~1b", ("a/b",)),
    ("/m~0n", ("m~n",)),
    ("/~01", ("~1",)),
    ("/~10", ("/0",)),
    ("/ ", (" ",)),
    ("/é/0/-", ("é", "0", "-")),
]


@pytest.mark.parametrize(("text", "parts"), SPLIT)
def test_a_pointer_is_split_into_tokens_and_joined_again(text: str, parts: tuple[str, ...]) -> None:
    assert patches.tokens(text) == parts
    assert patches.pointer(parts) == text


@pytest.mark.parametrize("text", ["a", "a/b", "#/a", "/~", "/a~", "/~2", "/a~b/c", "/~~0"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(BadPatch, match="pointer"):
        patches.tokens(text)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("", "", True),
        ("", "/a", True),
        ("", "/", True),
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a/b", "/a/c", False),
        ("/a", "/a~1b", False),
        ("/", "/a", False),
        ("/", "//a", True),
    ],
)
def test_pointers_overlap_by_whole_tokens(a: str, b: str, expected: bool) -> None:
    assert patches.overlaps(a, b) is expected
    assert patches.overlaps(b, a) is expected


def test_a_pointer_covers_what_lies_inside_it_and_not_what_it_lies_in() -> None:
    assert patches.covers("/labels", "/labels/x")
    assert patches.covers("/labels", "/labels")
    assert patches.covers("", "/labels")
    assert not patches.covers("/labels", "")
    assert not patches.covers("/labels/x", "/labels")
    assert not patches.covers("/labels", "/labels2")


RFC_6901 = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "m~n": 8,
    "nil": None,
    "sub": {"0": "key"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", RFC_6901),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/nil", None),
        ("/sub/0", "key"),
    ],
)
def test_resolve_finds_the_value(text: str, value: object) -> None:
    assert patches.resolve(RFC_6901, text) == value


@pytest.mark.parametrize(
    "text",
    ["/x", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/+1", "/foo/0/0", "/nil/x", "/foo/bar"],
)
def test_resolve_says_missing_where_there_is_nothing(text: str) -> None:
    assert patches.resolve(RFC_6901, text) is MISSING


def test_resolve_refuses_what_is_no_pointer() -> None:
    with pytest.raises(BadPatch):
        patches.resolve({}, "a")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, [2, {"x": None}]], [1.0, [2, {"x": None}]]),
        (2**70, 2**70),
        (0, -0.0),
        ({}, {}),
        (MISSING, MISSING),
    ],
)
def test_values_that_are_equal_as_json(a: object, b: object) -> None:
    assert patches.equal(a, b)
    assert patches.equal(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1),
        (False, 0),
        (True, 1.0),
        ([True], [1]),
        ({"a": {"b": False}}, {"a": {"b": 0}}),
        (None, 0),
        (None, False),
        ("1", 1),
        ([], {}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"a": 1}, {"a": 1, "b": 1}),
        ({"a": None}, {"b": None}),
        (None, MISSING),
    ],
)
def test_values_that_differ_as_json(a: object, b: object) -> None:
    assert not patches.equal(a, b)
    assert not patches.equal(b, a)


def _nested(levels: int, inside: object) -> object:
    value = inside
    for _ in range(levels):
        value = {"a": [value]}
    return value


def test_equality_and_difference_need_no_recursion() -> None:
    before, same, after = _nested(20_000, 1), _nested(20_000, 1), _nested(20_000, 2)

    assert patches.equal(before, same)
    assert not patches.equal(before, after)
    assert [operation.path for operation in patches.difference(before, after)] == [("a",)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ({"a": 1}, {}, [{"op": "remove", "path": "/a"}]),
        ({}, {"a": None}, [{"op": "add", "path": "/a", "value": None}]),
        ({"a": None}, {}, [{"op": "remove", "path": "/a"}]),
        ({"a": {}}, {"a": []}, [{"op": "replace", "path": "/a", "value": []}]),
        ([1, 2], [1, 3], [{"op": "replace", "path": "", "value": [1, 3]}]),
        ({"a": 1}, None, [{"op": "replace", "path": "", "value": None}]),
        (
            {"l": [1, {"x": 1}]},
            {"l": [1, {"x": 2}]},
            [{"op": "replace", "path": "/l", "value": [1, {"x": 2}]}],
        ),
        (
            {"z": {"k": 1, "gone": 1, "same": [1]}, "b": 0, "a/b": 1},
            {"a/b": 2, "z": {"new": {"n": 1}, "same": [1], "k": 2}, "b": 0},
            [
                {"op": "replace", "path": "/a~1b", "value": 2},
                {"op": "remove", "path": "/z/gone"},
                {"op": "replace", "path": "/z/k", "value": 2},
                {"op": "add", "path": "/z/new", "value": {"n": 1}},
            ],
        ),
    ],
)
def test_a_difference_is_recursive_in_objects_and_whole_in_arrays(
    before: object, after: object, expected: list[dict[str, Any]]
) -> None:
    assert patches.to_json(patches.difference(before, after)) == expected


def test_decode_splits_the_pointers_and_ignores_members_it_does_not_know() -> None:
    raw = [
        {"op": "add", "path": "/a~1b/0", "value": None, "from": "not looked at", "x": 1},
        {"op": "remove", "path": "", "value": 1},
        {"op": "move", "path": "/b", "from": "/a"},
    ]

    assert patches.decode(raw, max_ops=3) == (
        Operation("add", ("a/b", "0"), (), None),
        Operation("remove", (), (), None),
        Operation("move", ("b",), ("a",), None),
    )


def test_no_operations_are_a_patch() -> None:
    assert patches.decode([], max_ops=0) == ()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("[]", "patch: expected a list of operations, got a string"),
        (None, "patch: expected a list of operations, got null"),
        ({"op": "remove", "path": "/a"}, "patch: expected a list of operations, got an object"),
        (["remove"], "operation 0: expected an object, got a string"),
        ([{"path": "/a"}], "operation 0: expected an 'op' of .* got nothing"),
        ([{"op": "Add", "path": "/a", "value": 1}], "operation 0: .* got 'Add'"),
        ([{"op": ["add"], "path": "/a", "value": 1}], "operation 0: .* got an array"),
        ([{"op": "remove"}], r"operation 0 \(remove\): expected 'path' to be .* got nothing"),
        ([{"op": "remove", "path": None}], "expected 'path' to be a JSON Pointer, got null"),
        ([{"op": "remove", "path": ["a"]}], "expected 'path' to be a JSON Pointer, got an array"),
        ([{"op": "remove", "path": "a"}], "operation 0 .* 'path' is no pointer 'a'"),
        ([{"op": "remove", "path": "/~2"}], "'path' is no pointer '/~2'"),
        ([{"op": "add", "path": "/a"}], r"operation 0 \(add\): 'value' is missing"),
        ([{"op": "replace", "path": "/a"}], r"operation 0 \(replace\): 'value' is missing"),
        ([{"op": "test", "path": "/a"}], r"operation 0 \(test\): 'value' is missing"),
        ([{"op": "move", "path": "/a"}], r"operation 0 \(move\): expected 'from' .* got nothing"),
        ([{"op": "copy", "path": "/a", "from": 1}], r"\(copy\): expected 'from' .* got a number"),
        ([{"op": "copy", "path": "/a", "from": "b"}], "'from' is no pointer 'b'"),
        (
            [{"op": "remove", "path": "/a"}, {"op": "spam", "path": "/a"}],
            "operation 1: .* got 'spam'",
        ),
    ],
)
def test_what_is_no_patch_is_refused_with_the_place_and_the_reason(
    raw: object, message: str
) -> None:
    with pytest.raises(BadPatch, match=message):
        patches.decode(raw, max_ops=256)


def test_more_operations_than_allowed_are_refused() -> None:
    raw = [{"op": "remove", "path": "/a"}] * 257

    assert len(patches.decode(raw[:256], max_ops=256)) == 256
    with pytest.raises(BadPatch, match="patch: 257 operations, at most 256 are taken"):
        patches.decode(raw, max_ops=256)


def test_operations_are_written_with_their_own_members_only() -> None:
    raw: list[dict[str, Any]] = [
        {"op": "add", "path": "/a", "value": None},
        {"op": "remove", "path": "/a~1b"},
        {"op": "replace", "path": "", "value": {"k": 1}},
        {"op": "move", "path": "/b", "from": "/a"},
        {"op": "copy", "path": "/b", "from": ""},
        {"op": "test", "path": "/b", "value": False},
    ]
    noisy = [{**entry, "comment": "x"} for entry in raw]

    assert patches.to_json(patches.decode(noisy, max_ops=6)) == raw


def test_the_hash_is_of_the_canonical_json() -> None:
    operations = patches.decode(
        [{"value": {"b": 1, "a": [True]}, "path": "/é", "op": "add"}], max_ops=1
    )

    canonical = '[{"op":"add","path":"/é","value":{"a":[true],"b":1}}]'
    assert patches.patch_hash(operations) == hashlib.sha256(canonical.encode()).hexdigest()


def test_written_names_each_pointer_once_in_order() -> None:
    operations = patches.decode(
        [
            {"op": "test", "path": "/t", "value": 1},
            {"op": "replace", "path": "/b", "value": 1},
            {"op": "move", "from": "/m", "path": "/a~1b"},
            {"op": "copy", "from": "/c", "path": "/list/-"},
            {"op": "remove", "path": "/b"},
            {"op": "add", "path": "", "value": 1},
        ],
        max_ops=6,
    )

    assert patches.written(operations) == ("/b", "/m", "/a~1b", "/list/-", "")


def test_an_operation_cannot_be_changed() -> None:
    operation = Operation("remove", ("a",))

    with pytest.raises(AttributeError):
        operation.op = "add"  # type: ignore[misc]


def test_the_public_names_are_complete_and_sorted() -> None:
    assert sorted(patches.__all__) == patches.__all__
    assert all(hasattr(patches, name) for name in patches.__all__)
