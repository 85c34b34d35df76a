"""Whether yesterday's events still fit: what is said to be compatible is, and what refuses does."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookbus.schemas.compare import Comparison, compare
from hookbus.schemas.compiled import compile_schema
from tests.unit.schema_strategies import changed, data, schemas

#: A short sample here; `HOOKBUS_EXAMPLES=50000 pytest -n 0 …` by hand.
EXAMPLES = int(os.environ.get("HOOKBUS_EXAMPLES", "150"))
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
        if change.verdict == "refuses":
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
