"""What answered an emit: a decision of that event, a refusal, or neither. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hookbus.errors import InvalidEvent, Unavailable, UnavailableCode
from hookbus.message import Message
from hookbus.models import Decision
from hookbus.wire.decision import decode_refusal, decode_reply
from hookbus.wire.limits import NOT_JSON


def decided(reply: Message, event: Mapping[str, Any]) -> Decision:
    """Read the decision of *event*; what answers for another one, or later than version 1, is none.

    Raises:
        InvalidEvent, Unavailable: It is a refusal, or no decision.
    """
    raise_refusal(reply)
    try:
        decision = decode_reply(reply.data)
    except NOT_JSON as e:
        raise unavailable("no_responders", f"what answered is no dispatcher: {e}") from e
    if decision.v != 1:
        raise unavailable("no_responders", f"the decision is of version {decision.v}, expected 1")
    if decision.event.id != event["id"]:
        raise unavailable("no_responders", "what came is the decision of another event")
    if decision.outcome == "intercept":
        if decision.data is msgspec.UNSET:
            raise unavailable("no_responders", "the decision is intercept, but has no data")
        return decision
    # nobody else has seen it yet, and a copy of its 20 fields is dear
    used = event["data"] if decision.outcome == "continue" else None
    msgspec.structs.force_setattr(decision, "data", used)
    return decision


def raise_refusal(reply: Message) -> None:
    """Raise what a refusal says.

    Raises:
        InvalidEvent, Unavailable: It is one.
    """
    refusal = decode_refusal(reply.data, reply.headers)
    if refusal is None:
        return
    if refusal.code == "unavailable":
        raise unavailable("no_responders", refusal.message)
    raise InvalidEvent(refusal.message, code=refusal.code, pointer=refusal.pointer)


def unavailable(code: UnavailableCode, message: str) -> Unavailable:
    """Make the error of an emit that no decision can be had for."""
    return Unavailable(f"{code}: {message}", code=code)
