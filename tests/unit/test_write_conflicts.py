"""Two plugins that want different values in one place (R10): who lost, and where."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookbus import patches
from hookbus.dispatch import conflict
from hookbus.dispatch.conflict import Conflict, Writes
from hookbus.snapshot import Binding

QUICK = settings(max_examples=300, deadline=None, database=None)
TOKENS = st.sampled_from(["", "a", "b", "ab", "a/b", "~"])
POINTERS = st.lists(TOKENS, max_size=3).map(patches.pointer)
SCALARS = st.sampled_from([0, False, 1, 1.0, True, "a", None])
OBJECTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.dictionaries(TOKENS, inner, max_size=3), max_leaves=8
)
TURNS = st.lists(
    st.tuples(st.sampled_from("pqr"), st.lists(POINTERS, max_size=3, unique=True), OBJECTS),
    max_size=5,
)


def _binding(plugin: str, *rewrites: str) -> Binding:
    return Binding(
        plugin=plugin, hook="h", version="1.0.0", type="x", phase="mutate", rewrites=rewrites
    )


def _conflicts(turns: list[tuple[str, list[str], Any]], few: int) -> list[list[Conflict]]:
    writes = Writes()
    with patch.object(conflict, "_FEW", few):
        return [writes.add(_binding(name), tuple(at), after) for name, at, after in turns]


@QUICK
@given(TURNS)
def test_a_few_pointers_conflict_as_very_many_do(
    turns: list[tuple[str, list[str], Any]],
) -> None:
    one_by_one = _conflicts(turns, few=1_000_000)

    assert one_by_one == _conflicts(turns, few=-1)
    assert one_by_one == _conflicts(turns, few=3)


@pytest.mark.parametrize("few", [-1, 64])
@pytest.mark.parametrize(
    ("earlier", "later", "path"),
    [
        ("/a", "/a", "/a"),
        ("/a", "/a/b", "/a"),
        ("/a/b", "/a", "/a"),
        ("/a/b", "", ""),
        ("", "/a/b", ""),
        ("/a/b", "/a/c", None),
        ("/a", "/ab", None),
        ("/ab", "/a", None),
    ],
)
def test_the_shorter_of_two_paths_is_where_a_conflict_is(
    earlier: str, later: str, path: str | None, few: int
) -> None:
    turns: list[tuple[str, list[str], Any]] = [
        ("p", [earlier], {"a": {"b": 1, "c": 1}, "ab": 1}),
        ("q", [later], {"a": {"b": 2, "c": 2}, "ab": 2}),
    ]

    assert _conflicts(turns, few)[1] == ([] if path is None else [Conflict(path, "p", "q")])


def test_what_a_plugin_lists_in_rewrites_is_no_conflict() -> None:
    writes = Writes()
    writes.add(_binding("p"), ("/a/b", "/c"), {"a": {"b": 1}, "c": 1})

    found = writes.add(_binding("q", "/a"), ("/a/b", "/c"), {"a": {"b": 2}, "c": 2})

    assert found == [Conflict("/c", "p", "q")]
