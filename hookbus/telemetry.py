"""What is counted and observed of dispatching; the names stand here and nowhere else. Pure."""

from __future__ import annotations

from typing import Final, Protocol

from hookbus.models import Decision, PluginRecord
from hookbus.wire.event import Inbound

#: Counters of one dispatcher, answered in its ``$SRV.STATS`` data.
COUNTERS: Final = (
    "decisions",
    "continued",
    "intercepted",
    "blocked",
    "refused",
    "failed_open",
    "failed_closed",
    "skipped",
    "warned",
    "cached",
    "breaker_open",
    "conflicts",
    "reinvoked",
    "late_reply",
    "duplicate_responder",
    "spoofed_reply",
    "unmatched_reply",
    "status_reply",
    "extension_ignored",
    "rejected_mutations",
    "shadow_blocks",
    "shadow_shed",
    "repeated_events",
    "id_reuse",
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
        for record in decision.records:
            if record.resolution != "enforced":
                self._counters.count(record.resolution)
            if record.failure is not None or record.notes:
                self._on_odd(record)
        if decision.conflicts:
            self._counters.count("conflicts", len(decision.conflicts))

    def _on_odd(self, record: PluginRecord) -> None:
        if record.failure == "breaker_open":
            self._counters.count("breaker_open")
        if record.failure == "forbidden_write":
            self._counters.count("rejected_mutations")
        for note in record.notes:
            counter = _NOTE_COUNTERS.get(note["kind"])
            if counter is not None:
                self._counters.count(counter)


_NOTE_COUNTERS: Final = {"disallowed_op": "rejected_mutations", "reinvoked_changed": "reinvoked"}
_OUTCOME_COUNTERS: Final = {"continue": "continued", "intercept": "intercepted", "block": "blocked"}
