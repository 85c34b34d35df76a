"""Patches applied: the examples of RFC 6902, trouble cases and limits."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hookbus import patches
from hookbus.errors import BadPatch

ROOMY = 4 * 1024 + 64 * 1024  # bytes: the default growth of a 1 KB payload


def _apply(document: object, raw: list[dict[str, Any]], max_bytes: int = ROOMY) -> Any:
    return patches.apply(document, patches.decode(raw, max_ops=256), max_bytes=max_bytes)


def _add(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def _replace(path: str, value: object) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def _move(source: str, path: str) -> dict[str, Any]:
    return {"op": "move", "from": source, "path": path}


def _copy(source: str, path: str) -> dict[str, Any]:
    return {"op": "copy", "from": source, "path": path}


def _test(path: str, value: object) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value}


RFC_6902_APPENDIX = {
    "A.1 add an object member": (
        {"foo": "bar"},
        [_add("/baz", "qux")],
        {"baz": "qux", "foo": "bar"},
    ),
    "A.2 add an array element": (
        {"foo": ["bar", "baz"]},
        [_add("/foo/1", "qux")],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3 remove an object member": (
        {"baz": "qux", "foo": "bar"},
        [_remove("/baz")],
        {"foo": "bar"},
    ),
    "A.4 remove an array element": (
        {"foo": ["bar", "qux", "baz"]},
        [_remove("/foo/1")],
        {"foo": ["bar", "baz"]},
    ),
    "A.5 replace a value": (
        {"baz": "qux", "foo": "bar"},
        [_replace("/baz", "boo")],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6 move a value": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [_move("/foo/waldo", "/qux/thud")],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7 move an array element": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [_move("/foo/1", "/foo/3")],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8 test a value, success": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [_test("/baz", "qux"), _test("/foo/1", 2)],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.10 add a nested member object": (
        {"foo": "bar"},
        [_add("/child", {"grandchild": {}})],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11 ignore unrecognised elements": (
        {"foo": "bar"},
        [{**_add("/baz", "qux"), "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.14 tilde escape ordering": (
        {"/": 9, "~1": 10},
        [_test("/~01", 10)],
        {"/": 9, "~1": 10},
    ),
    "A.16 add an array value": (
        {"foo": ["bar"]},
        [_add("/foo/-", ["abc", "def"])],
        {"foo": ["bar", ["abc", "def"]]},
    ),
}

RFC_6902_ERRORS = {
    "A.9 test a value, error": ({"baz": "qux"}, [_test("/baz", "bar")]),
    "A.12 add to a nonexistent target": ({"foo": "bar"}, [_add("/baz/bat", "qux")]),
    "A.15 compare strings and numbers": ({"/": 9, "~1": 10}, [_test("/~01", "10")]),
}

APPLIES = {
    "no operations": ({"a": 1}, [], {"a": 1}),
    "add replaces a member": ({"a": 1}, [_add("/a", 2)], {"a": 2}),
    "add the root": ({"a": 1}, [_add("", [1])], [1]),
    "replace the root": ({"a": 1}, [_replace("", None)], None),
    "replace the root, then write into it": ({}, [_replace("", {}), _add("/a", 1)], {"a": 1}),
    "the root may be a scalar": ("x", [_test("", "x"), _replace("", 1)], 1),
    "the empty key": ({"": 1}, [_replace("/", 2)], {"": 2}),
    "nested empty keys": ({"": {"": 1}}, [_replace("//", 2)], {"": {"": 2}}),
    "digits are keys in an object": ({"0": 1, "-": 2}, [_remove("/0"), _remove("/-")], {}),
    "add at the end by its index": ([1, 2], [_add("/2", 3)], [1, 2, 3]),
    "add to an empty array": ([], [_add("/0", 1)], [1]),
    "add inside an array item": ([{"a": []}], [_add("/0/a/-", 1)], [{"a": [1]}]),
    "null is a value": ({"a": None}, [_test("/a", None), _replace("/a", None)], {"a": None}),
    "test ignores the key order": (
        {"a": {"x": 1, "y": 2}},
        [_test("/a", {"y": 2, "x": 1}), _remove("/a/x")],
        {"a": {"y": 2}},
    ),
    "test 1 against 1.0": ({"a": 1}, [_test("/a", 1.0)], {"a": 1}),
    "move to itself": ({"a": {"b": 1}}, [_move("/a", "/a"), _move("", "")], {"a": {"b": 1}}),
    "move a child over its parent": ({"a": {"b": 1}}, [_move("/a/b", "/a")], {"a": 1}),
    "move a child over the root": ({"a": {"b": 1}}, [_move("/a", "")], {"b": 1}),
    "move over another": ({"a": 1, "b": 2}, [_move("/a", "/b")], {"b": 1}),
    "move beside its name": ({"a": 1, "ab": {}}, [_move("/a", "/ab/c")], {"ab": {"c": 1}}),
    "move counts indices after the removal": ([1, 2, 3], [_move("/0", "/2")], [2, 3, 1]),
    "copy into its own child": (
        {"a": {"b": 1}},
        [_copy("/a", "/a/c")],
        {"a": {"b": 1, "c": {"b": 1}}},
    ),
    "copy the root into itself": (
        {"a": 1},
        [_add("/x", 0), _copy("", "/b"), _add("/b/c", 2)],
        {"a": 1, "x": 0, "b": {"a": 1, "x": 0, "c": 2}},
    ),
    "a copy is another value": (
        {"a": {}},
        [_add("/a/x", 1), _copy("/a", "/b"), _add("/a/y", 2), _add("/b/z", 3)],
        {"a": {"x": 1, "y": 2}, "b": {"x": 1, "z": 3}},
    ),
    "a copy of what holds a written value": (
        {"a": {"b": {}}},
        [_add("/a/b/x", 1), _copy("/a", "/c"), _remove("/a/b/x")],
        {"a": {"b": {}}, "c": {"b": {"x": 1}}},
    ),
    "write into what was added": (
        {},
        [_add("/a", {"l": []}), _add("/a/l/-", 1), _move("/a/l", "/l"), _add("/l/-", 2)],
        {"a": {}, "l": [1, 2]},
    ),
}

REFUSED = {
    "add into nothing": ({}, [_add("/a/b", 1)], "expected an object or array at '/a', got nothing"),
    "add into a scalar": ({"a": "x"}, [_add("/a/0", 1)], "at '/a', got a string"),
    "add into null": ({"a": None}, [_add("/a/b", 1)], "at '/a', got null"),
    "add past the end": ([1], [_add("/2", 1)], "'2' is no index below 2"),
    "add a sign": ([1, 2], [_add("/+1", 1)], "'[+]1' is no index"),
    "add a minus": ([1, 2], [_add("/-1", 1)], "'-1' is no index"),
    "add a leading zero": ([1, 2], [_add("/01", 1)], "'01' is no index"),
    "add two zeros": ([1, 2], [_add("/00", 1)], "'00' is no index"),
    "add an underscore": ([0] * 11, [_add("/1_0", 1)], "'1_0' is no index"),
    "add Unicode digits": ([1, 2], [_add("/١", 1)], "is no index"),
    "add a superscript": ([1, 2], [_add("/¹", 1)], "is no index"),
    "add a fraction": ([1, 2], [_add("/1.0", 1)], "is no index"),
    "add an exponent": ([1, 2], [_add("/1e0", 1)], "is no index"),
    "add a space": ([1, 2], [_add("/ 1", 1)], "is no index"),
    "add a line end": ([1, 2], [_add("/1\n", 1)], "is no index"),
    "add an empty index": ([1, 2], [_add("/", 1)], "'' is no index"),
    "add a word": ([1, 2], [_add("/a", 1)], "'a' is no index"),
    "add an endless number": ([1], [_add("/" + "9" * 5000, 1)], "is no index"),
    "through the end": ([[1]], [_add("/-/0", 1)], "'-' is no index"),
    "remove nothing": ({"a": 1}, [_remove("/b")], "there is nothing at '/b'"),
    "remove past the end": ([1], [_remove("/1")], "'1' is no index below 1"),
    "remove from an empty array": ([], [_remove("/0")], "'0' is no index below 0"),
    "remove the end": ([1], [_remove("/-")], "'-' is no index"),
    "remove the root": ({"a": 1}, [_remove("")], "the whole document cannot be removed"),
    "replace nothing": ({"a": 1}, [_replace("/b", 1)], "there is nothing at '/b'"),
    "replace the end": ([1], [_replace("/-", 1)], "'-' is no index"),
    "replace inside nothing": ({}, [_replace("/a/b", 1)], "at '/a', got nothing"),
    "move nothing": ({"a": 1}, [_move("/b", "/c")], "there is nothing at '/b'"),
    "move nothing to itself": ({}, [_move("/b", "/b")], "there is nothing at '/b'"),
    "move the end": ([1], [_move("/-", "/0")], "there is nothing at '/-'"),
    "move into its child": ({"a": {}}, [_move("/a", "/a/b")], "'/a' cannot be moved into itself"),
    "move into what takes its place": ([{}, {}], [_move("/0", "/0/x")], "moved into itself"),
    "move the root": ({"a": 1}, [_move("", "/a")], "'' cannot be moved into itself"),
    "move past the shortened end": ([1, 2], [_move("/0", "/2")], "'2' is no index below 2"),
    "copy nothing": ({}, [_copy("/a", "/b")], "there is nothing at '/a'"),
    "copy into nothing": ({"a": 1}, [_copy("/a", "/b/c")], "at '/b', got nothing"),
    "test true against 1": ({"a": 1}, [_test("/a", True)], "is not the tested one"),
    "test false against 0": ({"a": [0]}, [_test("/a", [False])], "is not the tested one"),
    "test nothing against null": ({}, [_test("/a", None)], "there is nothing at '/a'"),
    "test into a string": ("abc", [_test("/0", "a")], "there is nothing at '/0'"),
    "add what JSON cannot say": ({}, [_add("/a", ["\ud800"])], "an array is not JSON"),
}


@pytest.mark.parametrize(
    ("document", "raw", "expected"),
    [*RFC_6902_APPENDIX.values(), *APPLIES.values()],
    ids=[*RFC_6902_APPENDIX, *APPLIES],
)
def test_a_patch_applies_and_leaves_its_input_alone(
    document: object, raw: list[dict[str, Any]], expected: object
) -> None:
    document_before, raw_before = copy.deepcopy(document), copy.deepcopy(raw)

    result = _apply(document, raw)

    assert patches.equal(result, expected)
    assert patches.equal(document, document_before)
    assert raw == raw_before


@pytest.mark.parametrize(("document", "raw"), RFC_6902_ERRORS.values(), ids=RFC_6902_ERRORS.keys())
def test_the_errors_of_the_rfc_are_refused(document: object, raw: list[dict[str, Any]]) -> None:
    with pytest.raises(BadPatch, match=r"operation 0 \("):
        _apply(document, raw)


@pytest.mark.parametrize(("document", "raw", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_applied_is_refused_and_changes_nothing(
    document: object, raw: list[dict[str, Any]], message: str
) -> None:
    before = copy.deepcopy(document)

    with pytest.raises(BadPatch, match=message):
        _apply(document, raw)

    assert patches.equal(document, before)


def test_a_patch_is_all_or_nothing_and_says_which_operation_failed() -> None:
    document = {"list": [1], "a": {"b": 1}}

    with pytest.raises(BadPatch, match=r"^operation 3 \(remove '/missing~1'\): there is nothing"):
        _apply(
            document,
            [_add("/x", 1), _add("/list/-", 2), _replace("/a/b", 2), _remove("/missing~1")],
        )

    assert document == {"list": [1], "a": {"b": 1}}


def test_a_refusal_shows_no_value() -> None:
    document = {"secret": "hunter2"}

    with pytest.raises(BadPatch) as refused:
        _apply(document, [_test("/secret", "hunter3")])

    assert "hunter" not in str(refused.value)


def test_only_the_touched_path_is_copied() -> None:
    document: dict[str, Any] = {"a": {"b": {"x": 1}, "c": {}}, "d": [{}]}

    result = _apply(document, [_replace("/a/b/x", 2)])

    assert result["a"]["c"] is document["a"]["c"]
    assert result["d"] is document["d"]
    assert result["a"]["b"] is not document["a"]["b"]


def test_the_same_operations_apply_twice_with_the_same_result() -> None:
    operations = patches.decode([_add("/a", {"l": []}), _add("/a/l/-", 1)], max_ops=2)

    first = patches.apply({}, operations, max_bytes=ROOMY)
    second = patches.apply({}, operations, max_bytes=ROOMY)

    assert first == second == {"a": {"l": [1]}}


def test_doubling_by_copies_is_refused_while_it_grows() -> None:
    doubling = [entry for n in range(24) for entry in (_copy("", f"/x{n}"), _copy("", f"/y{n}"))]

    with pytest.raises(BadPatch, match=r"operation 1[0-9] .* writes more than 69632 bytes"):
        _apply({"text": "x" * 20}, doubling)


def test_appended_copies_of_one_large_value_are_refused_while_they_grow() -> None:
    copies = [_copy("/text", "/list/-") for _ in range(48)]
    document = {"text": "x" * 20_000, "list": []}

    with pytest.raises(BadPatch, match=r"operation 3 .* writes more than 69632 bytes"):
        _apply(document, copies)


def test_the_limit_counts_bytes_as_they_are_sent() -> None:
    at_the_limit = [_add("/a", "é" * 10), _replace("/a", "\n" * 4)]  # 2 + 20 and 2 + 8 bytes

    assert _apply({}, at_the_limit, max_bytes=32) == {"a": "\n" * 4}
    with pytest.raises(BadPatch, match=r"operation 1 .* writes more than 31 bytes"):
        _apply({}, at_the_limit, max_bytes=31)


def test_removing_testing_and_moving_cost_nothing() -> None:
    document = {"a": {"big": ["x" * 1000]}, "b": {}, "c": 1}

    result = _apply(
        document,
        [
            _test("/a/big", ["x" * 1000]),
            _move("/a/big", "/b/big"),
            _move("/b", "/d"),
            _remove("/c"),
        ],
        max_bytes=0,
    )

    assert result == {"a": {}, "d": {"big": ["x" * 1000]}}


def test_a_small_patch_with_as_many_operations_as_allowed_applies() -> None:
    result = _apply({"l": []}, [_add("/l/-", n) for n in range(256)], max_bytes=64 * 1024)

    assert result == {"l": list(range(256))}


def _arrays(levels: int) -> Any:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_result_may_nest_64_levels_and_no_more() -> None:
    into_root, too_deep = [_add("/a", _arrays(63))], [_add("/a", _arrays(64))]

    assert _apply({}, into_root) == {"a": _arrays(63)}
    with pytest.raises(BadPatch, match=r"operation 0 \(add '/a'\): .* deeper than 64 levels"):
        _apply({}, too_deep)
    with pytest.raises(BadPatch, match="deeper than 64 levels"):
        _apply({"a": 1}, [_replace("/a", _arrays(64))])
    assert _apply({"a": 1}, [_replace("", _arrays(64))]) == _arrays(64)


def test_brackets_in_texts_and_side_by_side_are_no_depth() -> None:
    wide = {"a": [[] for _ in range(200)], "b": "[{" * 100}

    assert _apply({}, [_add("/w", wide)]) == {"w": wide}


def test_copies_and_moves_cannot_nest_too_deep() -> None:
    document = {"a": _arrays(40), "b": {"c": {"d": _arrays(40)}}}
    inner = "/b/c/d" + "/0" * 39 + "/-"

    with pytest.raises(BadPatch, match=r"operation 0 .* deeper than 64 levels"):
        _apply(document, [_copy("/a", inner)])
    with pytest.raises(BadPatch, match=r"operation 0 .* deeper than 64 levels"):
        _apply(document, [_move("/a", inner)])
    assert patches.equal(
        _apply(document, [_move("/a", "/b/c/e")]),
        {"b": {"c": {"d": _arrays(40), "e": _arrays(40)}}},
    )


def test_a_value_too_deep_to_encode_is_refused() -> None:
    with pytest.raises(BadPatch, match="an array is not JSON"):
        _apply({}, [_add("/a", _arrays(50_000))])
