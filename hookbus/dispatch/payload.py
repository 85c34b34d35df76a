"""The event's data on its way through the mutating plugins. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from hookbus import patches
from hookbus.conditions import Scope
from hookbus.dispatch.matching import scope_of
from hookbus.errors import BadPatch, HookbusError
from hookbus.snapshot import Binding, Limits
from hookbus.wire.event import Inbound, envelope_of
from hookbus.wire.limits import MAX_DEPTH, exceeds_depth

GROWTH_FLOOR: Final = 64 * 1024  # bytes that a patch may add to a payload of any size


class Payload(msgspec.Struct, eq=False):
    """The data as it stands, and the whole event's bytes around it. Never changed in place.

    Attributes:
        encoded: the data's bytes in *event*, of data that a plugin made; else None.
    """

    data: Any
    event: bytes
    encoded: bytes | None = None
    _envelope: bytes | None = None
    _digest: bytes | None = None
    _scope: Scope | None = None

    @property
    def digest(self) -> bytes:
        """Of the data, whatever the order of its keys; worked out once."""
        if self._digest is None:
            self._digest = digest_of(self.data)
        return self._digest

    def with_data(self, data: Any) -> Payload:
        """The same event with other data; the envelope is taken apart once, at the first change."""
        if self._envelope is None:
            self._envelope = envelope_of(self.event)
        encoded = _encode(data)
        return Payload(data, b"".join((self._envelope, encoded, b"}")), encoded, self._envelope)

    def scope(self, inbound: Inbound) -> Scope:
        """What conditions see of this state; converted once, not once per plugin."""
        if self._scope is None:
            self._scope = scope_of(inbound, self.data)
        return self._scope


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one Intercept came to.

    Attributes:
        payload: the result, the input itself when nothing changed.
        operations: the normalised patch, without what was dropped.
        pointers: what differs from the input; empty when nothing changed (R9).
        dropped: pointers of operations that were not the plugin's to make.
    """

    payload: Payload
    operations: tuple[patches.Operation, ...]
    pointers: tuple[str, ...]
    dropped: tuple[str, ...] = ()


class ForbiddenWrite(HookbusError):
    """An operation writes what is not the plugin's to write."""


_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode


def digest_of(data: Any) -> bytes:
    """Digest JSON values, whatever the order of their keys."""
    return hashlib.blake2b(_canonical(data), digest_size=16).digest()


def change(payload: Payload, binding: Binding, answer: tuple[str, Any], limits: Limits) -> Change:
    """Apply a ``patch``, ``merge`` or whole ``data``: all of it or nothing (R8).

    Raises:
        BadPatch: It cannot be decoded or applied, or the result is too large or too deep.
        ForbiddenWrite: It writes outside ``writable`` and ``disallow`` is ``error``.
    """
    kind, value = answer
    before = payload.data
    max_growth = int(limits.patch_max_growth * len(payload.event)) + GROWTH_FLOOR
    if kind == "patch":
        operations = patches.decode(value, max_ops=limits.patch_max_ops)
        after = before
    else:
        after = patches.merge(before, value) if kind == "merge" else value
        operations = patches.difference(before, after)
    dropped: tuple[str, ...] = ()
    if binding.is_restricted:
        operations, dropped = _permitted(operations, binding)
    net = operations
    if kind == "patch" or dropped:
        after = patches.apply(before, operations, max_bytes=max_growth)
        net = patches.difference(before, after, patches.written_paths(operations))
    if not net:
        return Change(payload, operations, (), dropped)
    _check_length(net, max_growth)
    changed = _replaced(payload, after, limits, max_growth)
    # each place is in a difference once, and there is nothing but its path that it writes
    pointers = tuple([patches.pointer(operation.path) for operation in net])
    return Change(changed, operations, pointers, dropped)


def _check_length(net: tuple[patches.Operation, ...], most: int) -> None:
    """Refuse thousands of writes below one long key: each pointer in the record repeats it."""
    length = 0
    for operation in net:
        length += len(operation.path) + sum(map(len, operation.path))
    if length > most:
        raise BadPatch(f"the pointers of its {len(net)} changes take {length} bytes, over {most}")


def _permitted(
    operations: tuple[patches.Operation, ...], binding: Binding
) -> tuple[tuple[patches.Operation, ...], tuple[str, ...]]:
    """Keep what writes inside ``writable``; whole tokens count, the envelope is never reachable."""
    kept, dropped = [], []
    for operation in operations:
        outside = [
            pointer
            for pointer in patches.written((operation,))
            if not any(patches.covers(allowed, pointer) for allowed in binding.writable)
        ]
        if not outside:
            kept.append(operation)
        elif binding.disallow == "error":
            allowed = ", ".join(map(repr, binding.writable)) or "nothing"
            raise ForbiddenWrite(f"writes {outside[0]!r}, may write {allowed}")
        else:
            dropped.append(outside[0])
    return tuple(kept), tuple(dropped)


def _replaced(payload: Payload, data: Any, limits: Limits, max_growth: int) -> Payload:
    changed = payload.with_data(data)
    size = len(changed.event)
    if size > limits.max_event_bytes:
        raise BadPatch(f"the event would take {size} bytes, at most {limits.max_event_bytes}")
    if size - len(payload.event) > max_growth:
        raise BadPatch(f"the event would grow by more than {max_growth} bytes")
    if exceeds_depth(changed.event, MAX_DEPTH + 1):
        raise BadPatch(f"the data would nest deeper than {MAX_DEPTH} levels")
    return changed
