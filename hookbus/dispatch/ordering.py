"""In which stage, and in which order, bindings run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hookbus.snapshot import Binding, Snapshot

_Order: TypeAlias = tuple[int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """The hooks of one event type, in order; shadow ones stand where they would run.

    Attributes:
        reserves: per mutate hook, the seconds kept back for the stages behind it (R6).
        stages: per mutate hook, the stages from it on, its own included.
        is_observed: somebody observes the type.
    """

    mutate: tuple[Binding, ...]
    validate: tuple[Binding, ...]
    shadow_validate: tuple[Binding, ...]
    reserves: tuple[float, ...]
    stages: tuple[int, ...]
    is_observed: bool

    @property
    def size(self) -> int:
        """How many hooks would be asked at most, in one round."""
        return len(self.mutate) + len(self.validate) + len(self.shadow_validate)

    @property
    def last_reserve(self) -> float:
        """What a re-invoked plugin leaves: the validate phase alone is foreseen."""
        return _reserve_for(self.validate)


def plan(bindings: Sequence[Binding]) -> Plan:
    """Sort the hooks of one event type into stages (R1).

    Within a phase a lower priority number runs first; equal ones run in the byte order of the
    plugin names, then of the hook names, so that a plan never depends on who came first.
    A candidate in shadow stands directly before the hook that it is compared with (R15).
    """
    asked = sorted(bindings, key=lambda b: _place(b, bindings))
    mutate = tuple(b for b in asked if b.phase == "mutate")
    validate = tuple(b for b in asked if b.phase == "validate" and b.mode != "shadow")
    reserves, stages = _ahead(mutate, validate)
    return Plan(
        mutate=mutate,
        validate=validate,
        shadow_validate=tuple(b for b in asked if b.phase == "validate" and b.mode == "shadow"),
        reserves=reserves,
        stages=stages,
        is_observed=any(b.phase == "observe" for b in asked),
    )


def counterpart(candidate: Binding, others: Iterable[Binding]) -> Binding | None:
    """Find the hook of its incumbent that *candidate* is compared with.

    That is the one of the same name, else the first one, in the same phase and of those *others*.
    """
    found = [b for b in others if b.plugin == candidate.candidate_of and b.phase == candidate.phase]
    return min(found, key=lambda b: (b.hook != candidate.hook, *_order(b)), default=None)


def _place(binding: Binding, all_: Sequence[Binding]) -> tuple[_Order, bool, _Order]:
    if binding.candidate_of is not None and binding.mode == "shadow":
        incumbent = counterpart(binding, all_)
        if incumbent is not None:
            return _order(incumbent), False, _order(binding)
    return _order(binding), True, _order(binding)


def _order(binding: Binding) -> _Order:
    return binding.priority, binding.plugin.encode(), binding.hook.encode()


class Planner:
    """Keeps the plans of the newest generation, so that each is made once."""

    __slots__ = ("_plans", "_snapshot")

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._plans: dict[str, Plan] = {}

    def plan_for(self, snapshot: Snapshot, event_type: str) -> Plan:
        """Return the plan of a known type."""
        if snapshot is not self._snapshot:
            self._snapshot, self._plans = snapshot, {}
        found = self._plans.get(event_type)
        if found is None:
            found = self._plans[event_type] = plan(snapshot.hooks_for(event_type))
        return found


def _ahead(
    mutate: tuple[Binding, ...], validate: tuple[Binding, ...]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """R6: what each mutate stage leaves for the enforced, closed plugins behind it, in seconds."""
    reserve, stage = _reserve_for(validate), int(bool(validate))
    reserves, stages = [], []
    for binding in reversed(mutate):
        stage += binding.mode != "shadow"
        reserves.append(reserve)
        stages.append(stage)
        reserve += _reserve_for((binding,))
    return tuple(reversed(reserves)), tuple(reversed(stages))


def _reserve_for(stage: tuple[Binding, ...]) -> float:
    closed = (b.min_time for b in stage if b.is_closed and b.mode == "enforce")
    return max(closed, default=0.0)
