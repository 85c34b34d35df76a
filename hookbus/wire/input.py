"""Recorded inputs: an event as its emitter sent it, kept for later questions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

_encode = msgspec.json.Encoder().encode


class RecordedInput(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message of the stream of inputs.

    Attributes:
        principal: who emitted the event, as the broker knows it.
        decision: the id of what was decided about it.
        masked: JSON Pointers into its data of what is masked in *event*.
        event: the CloudEvent.
    """

    v: Literal[1]
    principal: str
    decision: str
    masked: tuple[str, ...] = ()
    event: dict[str, Any]


def encode_input(principal: str, decision: str, masked: Sequence[str], event: bytes) -> bytes:
    """Put one together around the event's own bytes."""
    return b'{"v":1,"principal":%b,"decision":%b,"masked":%b,"event":%b}' % (
        _encode(principal),
        _encode(decision),
        _encode(masked),
        event,
    )


decode_input = msgspec.json.Decoder(RecordedInput).decode
