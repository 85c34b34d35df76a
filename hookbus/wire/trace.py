"""Which trace an event's dispatch belongs to, as W3C trace context has it. Pure.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

#: Version 00 has 55 characters. A later one may go on after them, and ff is none.
_TRACEPARENT: Final = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One span's place in a trace: first the emitter's, then, where spans are written, our own.

    Attributes:
        id: 32 hexadecimal digits; "" is none yet, see `OWN`.
        span: the span's id, 16 hexadecimal digits.
        flags: two hexadecimal digits; the lowest bit says sampled.
        parent: the id of the span above it; "" where there is none, or nobody knows.
    """

    id: str
    span: str
    flags: str = "00"
    parent: str = ""

    @property
    def is_sampled(self) -> bool:
        return self.flags[1] in "13579bdf"  # a fifth of what int() takes

    @property
    def traceparent(self) -> str:
        return f"00-{self.id}-{self.span}-{self.flags}"


#: An event without a trace, not sampled: it gets one of its own if its decision must be traced.
OWN: Final = Trace("", "")


def trace_of(traceparent: str | None) -> Trace | None:
    """Read a ``traceparent``, of a later version what is known; a broken one counts as none."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return Trace(*match.groups()) if match else None


def is_always_traced(cause: str | None, *, degraded: bool) -> bool:
    """Tell the decisions that no sampling leaves out: a failure had its part in them."""
    return degraded or cause not in (None, "verdict")


def own_trace_id(decision_id: str) -> str:
    """The trace that begins with a decision has its id: a UUID has as many digits."""
    return decision_id.replace("-", "")


def trace_id_of(
    trace: Trace | None, decision_id: str, cause: str | None, *, degraded: bool
) -> str | None:
    """Return what a decision says about its trace; None where there is none to look for."""
    if trace is None:
        return None
    if trace.id:
        return trace.id
    return own_trace_id(decision_id) if is_always_traced(cause, degraded=degraded) else None
