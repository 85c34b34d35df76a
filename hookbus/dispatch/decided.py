"""A decision as bytes: for the emitter, and without data and secrets for the record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from hookbus.dispatch.aggregate import Objection, attributed
from hookbus.dispatch.masking import masked
from hookbus.dispatch.payload import Payload
from hookbus.models import Decision, OtherBlock
from hookbus.schemas.secret_fields import SecretPath
from hookbus.schemas.secret_values import secrets_in
from hookbus.wire.decision import (
    decode_decision,
    encode_decision,
    encode_record,
    encode_with_data,
)
from hookbus.wire.limits import MAX_TEXT, cut
from hookbus.wire.trace import Trace, trace_id_of


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A decision without its secrets, what the emitter gets of it, and what is recorded."""

    decision: Decision
    reply: bytes
    record: bytes

    @property
    def size(self) -> int:
        """Of the larger message, in bytes."""
        return max(len(self.reply), len(self.record))


def decided(
    decision: Decision,
    paths: Sequence[SecretPath] = (),
    payloads: Iterable[Payload] = (),
    *,
    is_naming: bool = True,
    encoded: bytes | None = None,
) -> Decided:
    """Encode *decision*; without secrets and data both messages are the same bytes.

    The fields of *payloads* at *paths* are named if *is_naming*, and their values kept out of the
    record (R28). *encoded* are the bytes of the decision's data, where they are known: an event's
    data is encoded once, for the next plugin and for the emitter.
    """
    found = [f for payload in payloads for f in secrets_in(payload.data, paths)] if paths else []
    if found:
        if is_naming:
            pointers = tuple(dict.fromkeys(pointer for pointer, _ in found))
            decision = msgspec.structs.replace(decision, masked=pointers)
        shown = masked(decision, [value for _, value in found])
        return Decided(shown, encode_decision(decision), encode_record(shown))
    record = encode_record(decision)
    if decision.data is msgspec.UNSET:
        return Decided(decision, record, record)
    if encoded is not None:
        return Decided(decision, encode_with_data(record, encoded), record)
    return Decided(decision, encode_decision(decision), record)


def not_recorded(made: Decided, id: str, problem: str, trace: Trace | None) -> Decided:
    """Make the Block that stands for a decision whose record is not stored (R28).

    It has an *id* of its own: whether the stream has the other one's record is not known, and an
    id must not name two decisions. It is made of the record, which has no secrets in it.
    """
    withdrawn = decode_decision(made.record)
    what = f"the decision ({withdrawn.outcome}, {withdrawn.id}) is not recorded"
    reason = cut(f"audit_unavailable: {what}: {problem}", MAX_TEXT)
    objection = Objection(None, "audit", "audit_unavailable", reason)
    block = msgspec.structs.replace(
        withdrawn,
        id=id,
        trace_id=trace_id_of(trace, id, objection.cause, degraded=withdrawn.degraded),
        outcome="block",
        cause=objection.cause,
        code=objection.code,
        by=objection.by,
        reason=attributed(objection),
        message=objection.message,
        others=_blocks_of(withdrawn),
    )
    record = encode_record(block)
    return Decided(block, record, record)


def _blocks_of(decision: Decision) -> tuple[OtherBlock, ...]:
    """All that *decision* is a Block for, the primary one first."""
    if decision.cause is None:
        return ()
    primary = OtherBlock(
        by=decision.by,
        cause=decision.cause,
        code=decision.code,
        reason=decision.reason or "",
        message=decision.message,
    )
    return (primary, *decision.others)
