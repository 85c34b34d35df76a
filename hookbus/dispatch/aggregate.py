"""Many answers become one decision. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hookbus import patches
from hookbus.dispatch.conflict import Conflict
from hookbus.dispatch.payload import Change, Payload
from hookbus.models import Cause, Decision, EventRef, OtherBlock, Outcome, PluginRecord
from hookbus.snapshot import Binding
from hookbus.wire.event import Inbound
from hookbus.wire.limits import MAX_WARNING, cut
from hookbus.wire.trace import trace_id_of
from hookbus.wire.verdict import Answer


class Objection(msgspec.Struct, frozen=True, gc=False):
    """A reason to block; *by* is None where no single plugin is it."""

    by: str | None
    cause: Cause
    code: str | None
    reason: str
    message: str | None = None


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What one hook came to.

    Attributes:
        answer: neither verdict nor failure: it was skipped, *notes* say why.
        ms: milliseconds from the call to the answer.
        attempt: 0 means that it was not called.
        change: what its Intercept came to.
        is_shortened: the event's budget cut its timeout.
        is_misled: it failed on data that an earlier plugin had left without its schema.
        objection: a Block that is not the plugin's own doing.
        at_ms: milliseconds from the event's arrival to the call.
    """

    binding: Binding
    answer: Answer
    ms: float = 0.0
    attempt: int = 1
    round: int = 1
    notes: tuple[dict[str, Any], ...] = ()
    change: Change | None = None
    is_shortened: bool = False
    is_cached: bool = False
    is_misled: bool = False
    objection: Objection | None = None
    at_ms: float = 0.0

    def noted(self, note: dict[str, Any]) -> Asked:
        """The same with one more note."""
        return msgspec.structs.replace(self, notes=(*self.notes, note))


class Ledger(msgspec.Struct, eq=False):
    """What has been heard about one event so far, in order.

    Attributes:
        payloads: every state that a plugin made or would have made: each may hold other secrets.
        asked_ms: when the hook of each record was asked, in milliseconds from the event's arrival.
        is_spoilt: a plugin could not judge data that broke its schema: the schema blocks.
        is_brief: details are left out.
    """

    records: list[PluginRecord] = []
    objections: list[Objection] = []
    warnings: list[str] = []
    conflicts: list[dict[str, Any]] = []
    payloads: list[Payload] = []
    asked_ms: list[float] = []
    is_degraded: bool = False
    is_spoilt: bool = False
    is_brief: bool = False

    @property
    def is_over(self) -> bool:
        """Nothing that further mutating plugins say could let the event pass."""
        return self.is_spoilt or bool(self.objections)

    def enter(self, asked: Asked) -> None:
        """Enter what one hook came to: the only place where its weight is decided."""
        answer, plugin = asked.answer, asked.binding.plugin
        self.asked_ms.append(asked.at_ms)
        is_well = answer.verdict == "continue" or answer.verdict == "intercept"
        if is_well and asked.binding.is_plain and not answer.warnings:
            self.records.append(record_of(asked, "enforced"))
            return
        objection = asked.objection or objection_of(asked)
        resolution = "cached" if asked.is_cached else "enforced"
        if asked.objection is not None:
            resolution = "skipped"
            self.objections.append(asked.objection)
        elif answer.verdict is None and answer.failure is None:
            resolution = "skipped"
        elif asked.binding.mode == "warn":
            resolution = self._warn(asked, objection)
        elif objection is not None and answer.verdict == "block":
            self.objections.append(objection)  # R5: `open` never softens a Block
        elif objection is not None and asked.binding.is_closed:
            resolution = "failed_closed"
            if asked.is_misled:
                self.is_spoilt = True
            else:
                self.objections.append(objection)
        elif objection is not None:
            resolution = "failed_open"
            self.is_degraded = True
        if answer.warnings:
            self.warnings.extend(f"{plugin}: {text}" for text in answer.warnings)
        self.records.append(record_of(asked, resolution))

    def conflict(self, conflicts: list[Conflict], *, is_blocking: bool) -> None:
        """Enter write conflicts; where the type says `block`, the first of them blocks (R10)."""
        if not conflicts:
            return
        self.conflicts += [
            {"path": c.path, "loser": c.loser, "winner": c.winner} for c in conflicts
        ]
        if is_blocking:
            first = conflicts[0]
            reason = f"write_conflict: {first.path!r} was written by {first.loser}"
            self.objections.append(Objection(first.winner, "verdict", "write_conflict", reason))

    def unsettled(self, bindings: list[Binding], *, is_blocking: bool) -> None:
        """Enter who would have to be asked again after the last permitted round (R12)."""
        if not bindings:
            return
        names = ", ".join(dict.fromkeys(b.plugin for b in bindings))
        reason = f"not_converged: after the last round these would change it again: {names}"
        if is_blocking:
            self.objections.append(Objection(None, "verdict", "not_converged", reason))
        else:
            self.warnings.append(reason)

    def leave_details_out(self, size: int, most: int) -> None:
        """Block what no message could hold: who was asked and why is kept, what changed is not."""
        reason = f"the decision takes {size} bytes, a message at most {most}"
        self.objections.append(Objection(None, "limit", "decision_too_large", reason))
        self.is_brief, self.conflicts, self.warnings = True, [], []
        self.records = [
            msgspec.structs.replace(record, pointers=(), notes=(), annotations={})
            for record in self.records
        ]

    def broke_schema(self, pointer: str, problem: str) -> None:
        """R1: the culprit is who last wrote there, else who last changed anything."""
        changed = [record for record in reversed(self.records) if record.mutated]
        wrote = (r for r in changed if any(patches.overlaps(p, pointer) for p in r.pointers))
        culprit = next(wrote, changed[0])
        reason = f"schema: its change leaves {pointer!r} wrong: {problem}"
        self.objections.append(Objection(culprit.plugin, "failure", "schema", reason))

    def _warn(self, asked: Asked, objection: Objection | None) -> str:
        """R15: a Block, a failure or a change under `warn` is told, and nothing else."""
        if objection is not None:
            self.warnings.append(attributed(objection))
        elif asked.change is not None and asked.change.pointers:
            pointers = ", ".join(asked.change.pointers)
            warning = f"{asked.binding.plugin}: would change {pointers}"
            self.warnings.append(cut(warning, MAX_WARNING))
        else:
            return "cached" if asked.is_cached else "enforced"
        return "warned"


def objection_of(asked: Asked) -> Objection | None:
    """What the hook's answer is as a reason to block, whatever the operator makes of it."""
    answer, plugin = asked.answer, asked.binding.plugin
    if answer.verdict == "block":
        return Objection(plugin, "verdict", answer.code, answer.reason or "", answer.message)
    if answer.failure is None:
        return None
    # R7: the event's budget, not the plugin, is to blame for a timeout that it shortened
    is_deadline = answer.failure == "timeout" and asked.is_shortened
    return Objection(
        plugin,
        "deadline" if is_deadline else "failure",
        answer.failure,
        f"{answer.failure}: {_reason(asked)}",
    )


def record_of(asked: Asked, resolution: str) -> PluginRecord:
    """Write one hook's record."""
    binding, answer, change = asked.binding, asked.answer, asked.change
    pointers = change.pointers if change is not None else ()
    # by position: each keyword of so long a list is looked for, which took longer than all the rest
    return PluginRecord(
        binding.plugin,
        binding.hook,
        answer.version or binding.version,
        binding.phase,
        asked.round,
        asked.attempt,
        binding.mode,
        answer.verdict,
        answer.failure,
        resolution,
        answer.code,
        _reason(asked),
        asked.ms,
        bool(pointers) and resolution == "enforced",  # mutated
        pointers,
        patches.patch_hash(change.operations) if change is not None and pointers else None,
        asked.notes,
        answer.annotations,
    )


def in_order(objections: Sequence[Objection]) -> list[Objection]:
    """Put the primary objection first: verdicts before failures, then order; never time (R4)."""
    return sorted(objections, key=lambda o: o.cause != "verdict") if objections else []


def attributed(objection: Objection) -> str:
    """``"redact-secrets: no_responders: …"``"""
    return f"{objection.by}: {objection.reason}" if objection.by else objection.reason


def combine(
    inbound: Inbound, generation: int, decision_id: str, ledger: Ledger, data: Any = msgspec.UNSET
) -> Decision:
    """Make the decision; *data* is what changed payload the emitter must use, if it changed."""
    outcome: Outcome = "continue"
    objections = in_order(ledger.objections)
    if objections:
        outcome, data = "block", msgspec.UNSET  # R3: no half-applied change leaks
    elif data is not msgspec.UNSET:
        outcome = "intercept"
    cause = objections[0].cause if objections else None
    event = inbound.event
    decision = Decision(
        id=decision_id,
        event=EventRef(event.id, event.source, event.type),
        outcome=outcome,
        principal=inbound.principal,
        dry_run=inbound.dry_run,
        records=tuple(ledger.records),
        generation=generation,
        degraded=ledger.is_degraded,
        trace_id=trace_id_of(inbound.trace, decision_id, cause, degraded=ledger.is_degraded),
        data=data,
    )
    if objections:
        decision = _blocked(decision, objections)
    if ledger.warnings or ledger.conflicts:
        decision = msgspec.structs.replace(
            decision, warnings=tuple(ledger.warnings), conflicts=tuple(ledger.conflicts)
        )
    return decision


def _blocked(decision: Decision, objections: Sequence[Objection]) -> Decision:
    primary = objections[0]
    return msgspec.structs.replace(
        decision,
        cause=primary.cause,
        code=primary.code,
        by=primary.by,
        reason=attributed(primary),
        message=primary.message,
        others=tuple(map(_other, objections[1:])),
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


def _other(objection: Objection) -> OtherBlock:
    return OtherBlock(
        by=objection.by,
        cause=objection.cause,
        code=objection.code,
        reason=attributed(objection),
        message=objection.message,
    )
