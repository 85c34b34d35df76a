"""Many answers become one decision. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hookbus.dispatch.deadline import Allowance
from hookbus.dispatch.payload import Change
from hookbus.models import Cause, Decision, EventRef, OtherBlock, Outcome, PluginRecord
from hookbus.patches import patch_hash
from hookbus.snapshot import Binding
from hookbus.wire.event import Inbound, trace_of
from hookbus.wire.verdict import Answer


@dataclass(frozen=True, slots=True)
class Asked:
    """One plugin's answer and how it was had.

    Attributes:
        ms: milliseconds from the call to the answer.
        attempt: 0 means that it was never called.
    """

    binding: Binding
    answer: Answer
    allowance: Allowance
    ms: float = 0.0
    attempt: int = 1
    round: int = 1


@dataclass(frozen=True, slots=True)
class Objection:
    """A reason to block."""

    by: str | None
    cause: Cause
    code: str | None
    reason: str
    message: str | None = None


@dataclass(slots=True)
class Ledger:
    """What has been heard about one event so far, in order."""

    records: list[PluginRecord] = field(default_factory=list)
    objections: list[Objection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_degraded: bool = False

    def enter(self, asked: Asked, change: Change | None = None) -> None:
        """Enter one plugin's answer: the only place where a record is made.

        ``on_failure`` applies to failures only; a Block is never converted (R5).
        """
        answer, binding = asked.answer, asked.binding
        resolution = "enforced"
        if answer.verdict == "block":
            self.objections.append(_verdict_objection(asked))
        elif answer.failure is not None and binding.is_closed:
            resolution = "failed_closed"
            self.objections.append(_failure_objection(asked))
        elif answer.failure is not None:
            resolution = "failed_open"
            self.is_degraded = True
        self.warnings.extend(f"{binding.plugin}: {text}" for text in answer.warnings)
        self.records.append(_record(asked, resolution, change))


def blocked_by(objections: Iterable[Objection]) -> list[Objection]:
    """Put the primary objection first: verdicts before failures, then order; never time (R4)."""
    return sorted(objections, key=lambda o: o.cause != "verdict")


def combine(
    inbound: Inbound, generation: int, decision_id: str, ledger: Ledger, data: Any = msgspec.UNSET
) -> Decision:
    """Make the decision; *data* is what changed payload the emitter must use, if it changed."""
    objections = blocked_by(ledger.objections)
    outcome: Outcome = "continue"
    if objections:
        outcome, data = "block", msgspec.UNSET  # R3: no half-applied change leaks
    elif data is not msgspec.UNSET:
        outcome = "intercept"
    primary = objections[0] if objections else None
    event = inbound.event
    return Decision(
        id=decision_id,
        event=EventRef(event.id, event.source, event.type),
        outcome=outcome,
        principal=inbound.principal,
        dry_run=inbound.dry_run,
        cause=primary.cause if primary else None,
        code=primary.code if primary else None,
        by=primary.by if primary else None,
        reason=_attributed(primary) if primary else None,
        message=primary.message if primary else None,
        others=tuple(map(_other, objections[1:])),
        warnings=tuple(ledger.warnings),
        records=tuple(ledger.records),
        generation=generation,
        degraded=ledger.is_degraded,
        trace_id=trace_of(event.traceparent)[0],
        data=data,
    )


def _record(asked: Asked, resolution: str, change: Change | None) -> PluginRecord:
    binding, answer = asked.binding, asked.answer
    return PluginRecord(
        plugin=binding.plugin,
        hook=binding.hook,
        version=answer.version or binding.version,
        phase=binding.phase,
        round=asked.round,
        attempt=asked.attempt,
        mode=binding.mode,
        verdict=answer.verdict,
        failure=answer.failure,
        resolution=resolution,
        code=answer.code,
        reason=_reason(asked),
        ms=asked.ms,
        mutated=bool(change and change.pointers),
        pointers=change.pointers if change else (),
        patch_hash=patch_hash(change.operations) if change and change.pointers else None,
        annotations=answer.annotations,
    )


def _verdict_objection(asked: Asked) -> Objection:
    answer = asked.answer
    return Objection(
        asked.binding.plugin, "verdict", answer.code, answer.reason or "", answer.message
    )


def _failure_objection(asked: Asked) -> Objection:
    answer = asked.answer
    # R7: the event's budget, not the plugin, is to blame for a timeout that it shortened
    is_deadline = answer.failure == "timeout" and asked.allowance.is_shortened
    return Objection(
        asked.binding.plugin,
        "deadline" if is_deadline else "failure",
        answer.failure,
        f"{answer.failure}: {_reason(asked)}",
    )


def _reason(asked: Asked) -> str | None:
    """The plugin's own words, or for one that is not there what to do about it."""
    answer, binding = asked.answer, asked.binding
    if answer.failure != "no_responders":
        return answer.reason
    advice = f"nothing listens on {binding.subject}; start the plugin"
    if binding.origin == "announcement":
        advice += f", or unbind it with `hookbus plugins remove {binding.plugin}`"
    return advice


def _attributed(objection: Objection) -> str:
    return f"{objection.by}: {objection.reason}" if objection.by else objection.reason


def _other(objection: Objection) -> OtherBlock:
    return OtherBlock(
        by=objection.by,
        cause=objection.cause,
        code=objection.code,
        reason=_attributed(objection),
        message=objection.message,
    )
