"""In which stage and in which order hooks run, and what each leaves for those behind (R1, R6)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookbus.dispatch.ordering import Planner, plan
from hookbus.snapshot import Binding, ConfigDocument, Snapshot


def binding(plugin: str, phase: Any = "mutate", **options: Any) -> Binding:
    said = {"hook": "h", "version": "1.0.0", "type": "message_received", **options}
    return Binding(plugin=plugin, phase=phase, **said)


def names(bindings: tuple[Binding, ...]) -> list[str]:
    return [f"{b.plugin}/{b.hook}" for b in bindings]


def test_lower_priorities_run_first_then_plugin_then_hook_in_byte_order() -> None:
    made = plan(
        [
            binding("b", priority=5, hook="z"),
            binding("b", priority=5, hook="a"),
            binding("a-1", priority=5),
            binding("a", priority=5),
            binding("z", priority=-1),
        ]
    )

    assert names(made.mutate) == ["z/h", "a/h", "a-1/h", "b/a", "b/z"]


@given(st.permutations([("a", 1), ("b", 1), ("c", 0), ("d", 2), ("e", 1)]))
def test_a_plan_never_depends_on_who_came_first(order: list[tuple[str, int]]) -> None:
    made = plan([binding(name, priority=priority) for name, priority in order])

    assert names(made.mutate) == ["c/h", "a/h", "b/h", "e/h", "d/h"]


def test_phases_are_kept_apart_whatever_the_priorities() -> None:
    made = plan([binding("v", "validate", priority=-9), binding("m"), binding("o", "observe")])

    assert (names(made.mutate), names(made.validate)) == (["m/h"], ["v/h"])
    assert made.is_observed


def test_without_an_observer_a_type_is_not_observed() -> None:
    assert not plan([binding("m")]).is_observed


def test_each_stage_leaves_the_largest_minimum_of_every_closed_stage_behind_it() -> None:
    made = plan(
        [
            binding("a", min_ms=500, priority=1),
            binding("b", min_ms=40, priority=2),
            binding("c", min_ms=30, priority=3, on_failure="open"),
            binding("v", "validate", min_ms=60),
            binding("w", "validate", min_ms=90),
            binding("x", "validate", min_ms=900, on_failure="open"),
        ]
    )

    assert made.reserves == pytest.approx((0.13, 0.09, 0.09))
    assert made.stages == (4, 3, 2)


def test_without_validators_the_last_mutator_leaves_nothing() -> None:
    made = plan([binding("a"), binding("b")])

    assert made.reserves == pytest.approx((0.05, 0.0))
    assert made.stages == (2, 1)


def test_a_plan_is_made_once_for_a_generation_and_type() -> None:
    planner = Planner()
    document = ConfigDocument(bindings=(binding("a"),))
    first, second = Snapshot.of(1, document), Snapshot.of(2, document)

    made = planner.plan_for(first, "message_received")

    assert planner.plan_for(first, "message_received") is made
    assert planner.plan_for(second, "message_received") is not made
    assert planner.plan_for(second, "tool_invoked").size == 0


def candidate(of: str, **options: Any) -> Binding:
    return binding(f"{of}--next", mode="shadow", candidate_of=of, **options)


@pytest.mark.parametrize("priority", [-5, 100, 900])
def test_a_candidate_has_its_incumbents_input_whatever_it_asks(priority: int) -> None:
    made = plan([candidate("b", priority=priority), binding("a"), binding("b"), binding("c")])

    assert names(made.mutate) == ["a/h", "b--next/h", "b/h", "c/h"]


def test_a_candidates_hook_is_compared_with_that_of_its_name_else_with_the_first() -> None:
    others = [binding("b", hook="x"), binding("b", hook="y", priority=3)]

    found = plan([candidate("b", hook="y"), candidate("b", hook="x"), *others])
    new = plan([candidate("b", hook="z"), *others])

    assert names(found.mutate) == ["b--next/y", "b/y", "b--next/x", "b/x"]
    assert names(new.mutate) == ["b--next/z", "b/y", "b/x"]


def test_a_candidate_that_an_operator_lets_decide_stands_where_it_asks() -> None:
    promoted = binding("b--next", candidate_of="b", priority=900)

    assert names(plan([promoted, binding("b")]).mutate) == ["b/h", "b--next/h"]


def test_a_candidate_without_its_incumbent_stands_where_it_asks() -> None:
    made = plan([candidate("b", priority=1), binding("a"), binding("b", "validate")])

    assert names(made.mutate) == ["b--next/h", "a/h"]
