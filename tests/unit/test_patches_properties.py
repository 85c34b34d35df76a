"""What holds for every document and patch, found out with hypothesis and with jsonpatch."""

from __future__ import annotations

import copy
import os
from typing import Any

import jsonpatch
import jsonpointer
from hypothesis import given, settings
from hypothesis import strategies as st

from hookbus import patches
from hookbus.errors import BadPatch
from hookbus.patches import MISSING, Operation
from hookbus.patches.values import equal_by_walk

KEYS = st.sampled_from(["", "a", "b", "a/b", "~", "~1", "0", "1", "-"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5, "", "a"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])
STRAY_TOKENS = st.sampled_from(["", "a", "~01", "~0", "0", "1", "2", "3", "-", "01", "-1", "1_0"])
#: A short sample here; `python -m tests.long properties` tries many.
EXAMPLES = int(os.environ.get("HOOKBUS_EXAMPLES", "150"))
QUICK = settings(max_examples=EXAMPLES, deadline=None, database=None)


def _pointers_in(value: object, here: str = "") -> list[str]:
    found = [here]
    if isinstance(value, dict):
        for key, child in value.items():
            found += _pointers_in(child, here + patches.pointer([key]))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += _pointers_in(child, f"{here}/{index}")
    return found


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]]]:
    """A document and operations on places that are, or nearly are, in it."""
    document = draw(VALUES)
    places = st.sampled_from(_pointers_in(document))
    near = st.builds(lambda place, token: f"{place}/{token}", places, STRAY_TOKENS)
    operation = st.fixed_dictionaries(
        {"op": WORDS, "path": places | near, "from": places | near, "value": VALUES}
    )
    return document, draw(st.lists(operation, min_size=1, max_size=4))


def _by_jsonpatch(document: Any, raw: list[dict[str, Any]]) -> tuple[bool, Any]:
    try:
        return True, jsonpatch.apply_patch(copy.deepcopy(document), copy.deepcopy(raw))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        return False, None


def _by_us(document: Any, raw: list[dict[str, Any]]) -> tuple[bool, Any]:
    try:
        operations = patches.decode(raw, max_ops=256)
        return True, patches.apply(document, operations, max_bytes=1 << 20)
    except BadPatch:
        return False, None


@QUICK
@given(_cases())
def test_apply_agrees_with_jsonpatch_and_never_changes_its_input(
    case: tuple[Any, list[dict[str, Any]]],
) -> None:
    document, raw = case
    document_before, raw_before = copy.deepcopy(document), copy.deepcopy(raw)

    applied, result = _by_us(document, raw)
    expected_applied, expected = _by_jsonpatch(document, raw)

    assert applied is expected_applied
    assert patches.equal(result, expected)
    assert patches.equal(document, document_before)
    assert patches.equal(raw, raw_before)


@QUICK
@given(VALUES, VALUES)
def test_applying_a_difference_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    operations = patches.difference(before, after)

    assert patches.equal(patches.apply(before, operations, max_bytes=1 << 20), after)
    assert (operations == ()) is patches.equal(before, after)


def _difference(path: tuple[str, ...], before: Any, after: Any) -> list[Operation]:
    """What a difference is, written down as plainly as can be."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            was, now = before.get(key, MISSING), after.get(key, MISSING)
            found += _difference((*path, key), was, now)
        return found
    if equal_by_walk(before, after):
        return []
    if after is MISSING:
        return [Operation("remove", path)]
    return [Operation("add" if before is MISSING else "replace", path, (), after)]


@QUICK
@given(VALUES, VALUES, st.integers(0, 5))
def test_a_difference_goes_as_deep_as_objects_do_in_the_order_of_their_keys(
    before: Any, after: Any, levels: int
) -> None:
    both = {"": before, "a": {"b": 1}, "z": before}, {"": after, "a": {"b": 1.0}, "z": before}
    for _ in range(levels):
        both = {"in": both[0], "same": [before]}, {"same": copy.deepcopy([before]), "in": both[1]}

    operations = patches.difference(*both)

    assert list(operations) == _difference((), *both)
    assert patches.to_json(operations) == patches.to_json(_difference((), *both))


@st.composite
def _alike(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two values that are, or nearly are, one: other numbers for equal ones, keys turned round."""
    value = draw(VALUES)
    return value, _turned(value, draw(st.sampled_from([int, float, bool, lambda n: n])))


def _turned(value: Any, number: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(inner, number) for key, inner in reversed(value.items())}
    if isinstance(value, list):
        return [_turned(inner, number) for inner in value]
    return number(value) if isinstance(value, int | float) else value


@QUICK
@given(_alike() | st.tuples(VALUES, VALUES))
def test_what_is_equal_at_one_look_is_equal_in_a_walk(both: tuple[Any, Any]) -> None:
    assert patches.equal(*both) is equal_by_walk(*both)
    assert patches.equal([both[0]], [both[1]]) is equal_by_walk(*both)


@QUICK
@given(_cases())
def test_where_it_was_written_is_where_it_differs(case: tuple[Any, list[dict[str, Any]]]) -> None:
    document, raw = case
    applied, result = _by_us(document, raw)
    if not applied:
        return
    written = patches.written_paths(patches.decode(raw, max_ops=256))

    operations = patches.difference(document, result, written)

    assert patches.to_json(operations) == patches.to_json(patches.difference(document, result))


@QUICK
@given(VALUES, VALUES)
def test_a_difference_survives_the_wire(before: Any, after: Any) -> None:
    operations = patches.difference(before, after)

    raw = patches.to_json(operations)

    assert patches.to_json(patches.decode(raw, max_ops=256)) == raw
    assert tuple(entry["path"] for entry in raw) == patches.written(operations)


@QUICK
@given(VALUES, VALUES)
def test_a_merge_patch_is_its_difference_and_merging_twice_changes_nothing(
    document: Any, merge_patch: Any
) -> None:
    document_before, patch_before = copy.deepcopy(document), copy.deepcopy(merge_patch)

    merged = patches.merge(document, merge_patch)
    operations = patches.difference(document, merged)

    assert patches.equal(patches.apply(document, operations, max_bytes=1 << 20), merged)
    assert patches.equal(patches.merge(merged, merge_patch), merged)
    assert patches.equal(document, document_before)
    assert patches.equal(merge_patch, patch_before)


@QUICK
@given(st.lists(st.text("ab/~01", max_size=3), max_size=3))
def test_every_token_survives_a_pointer(parts: list[str]) -> None:
    assert patches.tokens(patches.pointer(parts)) == tuple(parts)


@QUICK
@given(st.lists(KEYS, max_size=3), st.lists(KEYS, max_size=3))
def test_overlap_of_texts_is_overlap_of_tokens(a: list[str], b: list[str]) -> None:
    shorter = min(len(a), len(b))

    expected = a[:shorter] == b[:shorter]

    assert patches.overlaps(patches.pointer(a), patches.pointer(b)) is expected
