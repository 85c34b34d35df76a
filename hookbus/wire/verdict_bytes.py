"""The part of a decision that depends on nothing but event, generation and verdicts (R29). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookbus.models import Decision

#: Members of a decision that differ from one run to the next, beside ``event.id`` and each
#: record's ``ms``.
LEFT_OUT: Final = ("id", "trace_id")
#: Integers up to here mean the same in every JSON parser (RFC 8785, section 3.2.2.3).
MAX_EXACT: Final = 2**53


def verdict_bytes(decision: Decision | Mapping[str, Any] | bytes) -> bytes:
    """Return the canonical bytes of a decision: equal bytes are equal decisions.

    Takes the SDK's :class:`~hookbus.Decision`, or the decision message as any client received it,
    decoded or not; all three give the same bytes. Left out are ``id``, ``event.id``, ``trace_id``,
    ``ms`` in every record, ``data`` unless the outcome is intercept (on continue the SDK fills in
    the emitter's own), and members that version 1 does not know. A member that is missing has its
    default. All else is kept, in this form: JSON in UTF-8, keys sorted by code point, no spaces, a
    number without a fraction written as an integer.

        verdict_bytes(first) == verdict_bytes(second)

    Raises:
        ValueError: It is no decision.
    """
    members = msgspec.to_builtins(_decision_of(decision))
    for name in LEFT_OUT:
        del members[name]
    del members["event"]["id"]
    for record in members["records"]:
        del record["ms"]
    if members["outcome"] != "intercept":
        members.pop("data", None)
    canonical = _whole_numbers(members)
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _decision_of(decision: Decision | Mapping[str, Any] | bytes) -> Decision:
    if isinstance(decision, Decision):
        return decision
    try:
        if isinstance(decision, Mapping):
            return msgspec.convert(dict(decision), Decision)
        return msgspec.json.decode(decision, type=Decision)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ValueError(f"expected a decision of version 1: {e}") from e


def _whole_numbers(value: Any) -> Any:
    """As JSON 1.0 equals 1, and a client may write back either for the other."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(inner) for inner in value]
    return value
