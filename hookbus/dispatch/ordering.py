"""In which stage, and in which order, bindings run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hookbus.snapshot import Binding, Snapshot


@dataclass(frozen=True, slots=True)
class Plan:
    """The hooks of one event type, in order.

    Attributes:
        reserves: per mutate hook, the seconds kept back for the stages behind it (R6).
        is_observed: somebody observes the type.
    """

    mutate: tuple[Binding, ...]
    validate: tuple[Binding, ...]
    reserves: tuple[float, ...]
    is_observed: bool

    def stages_left(self, index: int) -> int:
        """Count the stages from mutate hook *index* on, that one included."""
        return len(self.mutate) - index + bool(self.validate)


def plan(bindings: Sequence[Binding]) -> Plan:
    """Sort the hooks of one event type into stages (R1).

    Within a phase a lower priority number runs first; equal ones run in the byte order of the
    plugin names, then of the hook names, so that a plan never depends on who came first.
    """
    asked = sorted(bindings, key=lambda b: (b.priority, b.plugin.encode(), b.hook.encode()))
    mutate = tuple(b for b in asked if b.phase == "mutate")
    validate = tuple(b for b in asked if b.phase == "validate")
    return Plan(
        mutate=mutate,
        validate=validate,
        reserves=_reserves(mutate, validate),
        is_observed=any(b.phase == "observe" for b in asked),
    )


def _reserves(mutate: tuple[Binding, ...], validate: tuple[Binding, ...]) -> tuple[float, ...]:
    """R6: what each mutate stage leaves for the closed plugins behind it, in seconds."""
    later = max((b.min_time for b in validate if b.is_closed), default=0.0)
    reserves = []
    for binding in reversed(mutate):
        reserves.append(later)
        later += binding.min_time if binding.is_closed else 0.0
    return tuple(reversed(reserves))


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
