"""What is counted and observed of dispatching; the names stand here and nowhere else. Pure."""

from __future__ import annotations

from typing import Final, Protocol

from hookbus.models import Decision
from hookbus.wire.event import Inbound

#: Counters of one dispatcher, answered in its ``$SRV.STATS`` data.
COUNTERS: Final = (
    "decisions",
    "continued",
    "intercepted",
    "blocked",
    "refused",
    "failed_open",
    "late_reply",
    "duplicate_responder",
    "spoofed_reply",
    "unmatched_reply",
    "status_reply",
    "extension_ignored",
    "rejected_mutations",
    "shadow_blocks",
    "no_reply_subject",
    "overloaded",
    "not_ready",
    "undelivered",
    "unrecorded",
)


class Counters:
    """Numbers that only grow, by name; a name that is not in the table is a mistake."""

    __slots__ = ("_values",)

    def __init__(self, names: tuple[str, ...] = COUNTERS) -> None:
        self._values = dict.fromkeys(names, 0)

    def count(self, name: str, by: int = 1) -> None:
        self._values[name] += by

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def as_dict(self) -> dict[str, int]:
        """A copy of all of them."""
        return dict(self._values)


class Observer(Protocol):
    """Sees every dispatch; the only place where anything is measured."""

    def on_start(self, inbound: Inbound) -> None:
        """A checked event is about to be matched."""

    def on_decision(self, inbound: Inbound, decision: Decision, seconds: float) -> None:
        """The decision is made, *seconds* after the event came in."""


class CountingObserver:
    """Counts outcomes and fail-opens."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def on_start(self, inbound: Inbound) -> None:
        pass

    def on_decision(self, inbound: Inbound, decision: Decision, seconds: float) -> None:
        self._counters.count("decisions")
        self._counters.count(_OUTCOME_COUNTERS[decision.outcome])
        if decision.degraded:
            opened = sum(r.resolution == "failed_open" for r in decision.records)
            self._counters.count("failed_open", opened)


_OUTCOME_COUNTERS: Final = {"continue": "continued", "intercept": "intercepted", "block": "blocked"}
