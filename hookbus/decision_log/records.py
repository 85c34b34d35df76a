"""What the stream of decisions holds, decoded, and which of it is wanted. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from hookbus import subjects
from hookbus.models import Decision, EventRef, PluginRecord
from hookbus.wire.decision import decode_decision
from hookbus.wire.limits import NOT_JSON
from hookbus.wire.trace import own_trace_id

OUTCOMES: Final = ("continue", "intercept", "block")
SHADOW: Final = "shadow"
UUID_LENGTH: Final = 36  # characters

_UUID7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})(?:-[0-9a-f-]*)?")


class Recorded(NamedTuple):
    """One decision of the stream; *at* is the broker's clock when it was stored, or ours."""

    at: datetime
    decision: Decision
    raw: bytes


class ShadowRecord(msgspec.Struct, frozen=True):
    """What a plugin in shadow would have said about the event of *decision*."""

    decision: str
    event: EventRef
    record: PluginRecord


_decode_shadow = msgspec.json.Decoder(ShadowRecord).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are asked for; None does not restrict.

    Attributes:
        type: an event type, or a pattern of them.
        plugin: it was asked, or it is who blocked.
    """

    outcome: str | None = None
    type: str | None = None
    plugin: str | None = None
    source: str | None = None
    trace: str | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects that the broker must look at; none is all."""
        if self.outcome is None and self.type is None:
            return ()
        outcomes = OUTCOMES if self.outcome is None else (self.outcome,)
        return tuple(subjects.decision(outcome, self.type or ">") for outcome in outcomes)

    def includes(self, decision: Decision) -> bool:
        return (
            self.outcome in (None, decision.outcome)
            and self.source in (None, decision.event.source)
            and self.trace in (None, decision.trace_id)
            and (self.type is None or subjects.type_matches(self.type, decision.event.type))
            and (self.plugin is None or self.plugin in _plugins(decision))
        )


def _plugins(decision: Decision) -> set[str | None]:
    return {decision.by, *(record.plugin for record in decision.records)}


def decision_of(subject: str, data: bytes) -> Decision | None:
    """Decode a message of the stream; None is a shadow record, or what no dispatcher wrote."""
    if is_shadow(subject):
        return None
    try:
        return decode_decision(data)
    except NOT_JSON:
        return None


def shadow_of(data: bytes) -> ShadowRecord | None:
    """Decode a shadow record; None is what no dispatcher wrote."""
    try:
        return _decode_shadow(data)
    except NOT_JSON:
        return None


def is_shadow(subject: str) -> bool:
    return subject.startswith(subjects.decision(SHADOW, ""))


def time_in(decision_id: str) -> datetime | None:
    """Return when a UUIDv7, or the beginning of one with its time, was made; None is no UUIDv7."""
    match = _UUID7.match(decision_id)
    if match is None or decision_id[13:15] not in ("", "-", "-7"):
        return None
    return datetime.fromtimestamp(int(match[1] + match[2], 16) / 1000, UTC)


class Reference:
    """What a person has of a decision: its id, whole or in short, or an event's or a trace's id."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._head, dots, self._tail = text.lower().partition("..")
        is_whole = len(text) == UUID_LENGTH and not dots
        at = time_in(self._head)
        #: when the decision was made; None if it cannot be a decision's id
        self.at = at if is_whole or len(text) < UUID_LENGTH else None
        #: at most one decision is meant by it
        self.is_unique = self.at is not None and (is_whole or bool(dots))
        self._needle = msgspec.json.encode(text if self.at is None else self._head)[1:-1]

    def may_be_in(self, data: bytes) -> bool:
        """Tell quickly that it is not: most of a million records are not the one."""
        return self._needle in data

    def means(self, decision: Decision) -> str | None:
        """Tell as what it names the decision: ``decision``, ``event``, ``trace``, ``own trace``.

        The last is a trace that began with the decision, and has its id.
        """
        is_id = decision.id.startswith(self._head) and decision.id.endswith(self._tail)
        if self.at is not None and is_id:
            return "decision"
        if self.text == decision.event.id:
            return "event"
        if decision.trace_id is not None and self.text.lower() == decision.trace_id:
            is_own = decision.trace_id == own_trace_id(decision.id)
            return "own trace" if is_own else "trace"
        return None


def short_id(id: str) -> str:
    """``"01a1ff58-dd41-7752-a3f1-1255ca5654a0" → "01a1ff58-dd41..54a0"``

    The beginning is the time, so that the decision can be found by it; the beginning alone is
    that of all decisions of one millisecond.
    """
    return f"{id[:13]}..{id[-4:]}" if time_in(id) and len(id) == UUID_LENGTH else id


def to_builtins(recorded: Recorded) -> dict[str, Any]:
    """The record as it was written, and when it was stored."""
    return {"at": stamp(recorded.at), **msgspec.json.decode(recorded.raw)}


def stamp(moment: datetime) -> str:
    """``2026-11-21T10:00:00.123Z``"""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
