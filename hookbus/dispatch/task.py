"""One event to decide, and under what. Pure."""

from __future__ import annotations

import msgspec

from hookbus.dispatch.deadline import budget_of
from hookbus.snapshot import Snapshot
from hookbus.wire.call import CallTail, trace_member
from hookbus.wire.event import Inbound


class Task(msgspec.Struct, frozen=True, gc=False):
    """One event, the one generation it is decided under (R16), and its time.

    Attributes:
        decision_id: known from the start, because shadow records name it.
        received, ends: when it came in and when its budget ends, on the dispatcher's clock.
        stored_by: until when its record must be stored, on that clock; None: nobody waits for it.
    """

    inbound: Inbound
    snapshot: Snapshot
    decision_id: str
    received: float
    ends: float
    stored_by: float | None = None

    def tail(self, event: bytes, round_: int) -> CallTail:
        """The part of a call that one stage shares; only a sampled trace is passed on."""
        trace = trace_member(self.inbound.trace)
        return CallTail(round_, self.snapshot.generation, trace, event)


def task_of(
    inbound: Inbound, snapshot: Snapshot, decision_id: str, received: float, timeout: float
) -> Task:
    """Give an event its budget: its timeout less the return margin (R6).

    Where records are waited for, there is a margin for them too: a decision that took all of the
    time could never be answered.
    """
    budget = budget_of(timeout)
    if not snapshot.limits.audit:
        return Task(inbound, snapshot, decision_id, received, received + budget)
    ends, stored_by = received + budget_of(budget), received + budget
    return Task(inbound, snapshot, decision_id, received, ends, stored_by)
