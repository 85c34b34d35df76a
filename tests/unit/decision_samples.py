"""Decisions for tests, and a stream of them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hookbus import subjects
from hookbus.decision_log.reader import Extent, Stored, Take
from hookbus.decision_log.records import Recorded
from hookbus.models import Decision, EventRef, PluginRecord
from hookbus.wire.decision import encode_record

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def uuid7_at(moment: datetime, number: int = 0) -> str:
    """A decision's id made at that moment."""
    head = f"{int(moment.timestamp() * 1000):012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-{number:012x}"


def record(plugin: str = "guard", **members: Any) -> PluginRecord:
    given = {"hook": "tool-invoked", "version": "1.0.0", "phase": "validate", **members}
    return PluginRecord(plugin=plugin, **given)


def decision(id: str = "d", **members: Any) -> Decision:
    event = members.pop("event", EventRef("e1", "/agent", "tool_invoked"))
    return Decision(id=id, event=event, **{"outcome": "continue", "generation": 12, **members})


def recorded(made: Decision, at: datetime = NOON) -> Recorded:
    return Recorded(at, made, encode_record(made))


class FakeReader:
    """A StreamReader over a list; each record is stored *delay* after its id was made."""

    def __init__(self, decisions: Sequence[Decision], at: Sequence[datetime]) -> None:
        self.stored = [
            Stored(
                number,
                int(moment.timestamp() * 1000) * 1_000_000,
                subjects.decision(made.outcome, made.event.type),
                encode_record(made),
            )
            for number, (made, moment) in enumerate(zip(decisions, at, strict=True), 1)
        ]
        self.reads: list[int | datetime] = []
        self.handed_over = 0

    async def extent(self) -> Extent:
        if not self.stored:
            return Extent(0, 0, 1, 0)
        first, last = self.stored[0], self.stored[-1]
        return Extent(
            len(self.stored), 1, first.sequence, last.sequence, first.stored_at, last.stored_at
        )

    async def read(
        self,
        start: int | datetime,
        take: Take,
        *,
        until: int | None = None,
        only: Sequence[str] = (),
    ) -> None:
        self.reads.append(start)
        for stored in self.stored:
            is_before = (
                stored.sequence < start if isinstance(start, int) else stored.stored_at < start
            )
            is_other = only and not any(subjects.type_matches(s, stored.subject) for s in only)
            if is_before or is_other:
                continue
            if until is not None and stored.sequence > until:
                return
            self.handed_over += 1
            if take(stored):
                return


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
