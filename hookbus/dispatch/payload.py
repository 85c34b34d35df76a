"""The event's data on its way through the mutating plugins. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hookbus import patches
from hookbus.errors import BadPatch
from hookbus.snapshot import Limits
from hookbus.wire.event import replace_members

GROWTH_FLOOR = 64 * 1024  # bytes that a patch may add to a payload of any size


@dataclass(frozen=True, slots=True)
class Payload:
    """The data as it stands, and the whole event's bytes around it."""

    data: Any
    event: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What one Intercept came to.

    Attributes:
        payload: the result, the input itself when nothing changed.
        operations: the normalised patch.
        pointers: what differs from the input; empty when nothing changed (R9).
    """

    payload: Payload
    operations: tuple[patches.Operation, ...]
    pointers: tuple[str, ...]


_encode = msgspec.json.Encoder().encode


def change(payload: Payload, kind: str, value: Any, limits: Limits) -> Change:
    """Apply a ``patch``, ``merge`` or whole ``data``: all of it or nothing (R8).

    Raises:
        BadPatch: It cannot be decoded or applied, or the result is too large.
    """
    before = payload.data
    max_bytes = int(limits.patch_max_growth * len(payload.event)) + GROWTH_FLOOR
    if kind == "patch":
        operations = patches.decode(value, max_ops=limits.patch_max_ops)
        after = patches.apply(before, operations, max_bytes=max_bytes)
        net = patches.difference(before, after)
    else:
        after = patches.merge(before, value) if kind == "merge" else value
        operations = net = patches.difference(before, after)
    if not net:
        return Change(payload, operations, ())
    return Change(_replaced(payload, after, limits), operations, patches.written(net))


def _replaced(payload: Payload, data: Any, limits: Limits) -> Payload:
    event = replace_members(payload.event, {"data": msgspec.Raw(_encode(data))})
    if len(event) > limits.max_event_bytes:
        raise BadPatch(f"the event would take {len(event)} bytes, at most {limits.max_event_bytes}")
    return Payload(data, event)
