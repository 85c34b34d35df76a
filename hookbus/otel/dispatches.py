"""The spans of a dispatch and of its calls, written once it is over, from the times it recorded.

What is not sampled costs a look at the dice: no object of the SDK's is made for it (measured, a
span asked of the SDK for each event and call costs a dispatcher as much CPU again).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace as api
from opentelemetry.sdk.trace import ReadableSpan, Tracer
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hookbus import subjects
from hookbus.models import Decision, PluginRecord
from hookbus.otel.emits import SCOPE
from hookbus.otel.guard import Guard
from hookbus.wire.event import Inbound
from hookbus.wire.trace import OWN, Trace, is_always_traced, own_trace_id

#: Decisions a second that are traced for a failure though they are not sampled. A trace of three
#: calls is 50 µs: where everything fails, tracing all of it would halve what is left.
MAX_LATE: Final = 200
#: Decisions a second that are traced because their emitter sampled them: anybody who may emit can
#: say so of every event.
MAX_ASKED: Final = 500

_SCOPE: Final = InstrumentationScope(SCOPE)
_UNSET: Final = Status(StatusCode.UNSET)
_ERROR: Final = Status(StatusCode.ERROR)
_IDS: Final = RandomIdGenerator()


class DispatchSpans:
    """Traces dispatches: as their emitter did, else a share of them, and what failed in any case.

    Of what emitters sample, and of failures, a second has room for so many.
    """

    def __init__(
        self,
        tracer: Tracer,
        now_ns: Callable[[], int] = time.time_ns,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Write to *tracer*'s span processor; *now_ns* is the wall clock, *dice* 0 … 1."""
        self._tracer = tracer
        self._now_ns = now_ns
        self._dice = dice
        self._guard = Guard()
        self._asked = _PerSecond(MAX_ASKED, now_ns)
        self._late = _PerSecond(MAX_LATE, now_ns)

    def begin(self, inbound: Inbound, share: float) -> Inbound:
        """Give a dispatch its place in a trace, see :class:`hookbus.telemetry.Tracing`."""
        above = inbound.trace
        if above is None:
            if self._dice() >= share:
                return inbound.placed(OWN)
            place = Trace(f"{_IDS.generate_trace_id():032x}", _span_id(), "01")
        elif not above.is_sampled:
            return inbound
        elif self._asked.has_room():
            place = Trace(above.id, _span_id(), above.flags, above.span)
        else:
            place = Trace(above.id, above.span)
        return inbound.placed(place)

    def on_decision(
        self, inbound: Inbound, decision: Decision, seconds: float, asked_ms: Sequence[float] = ()
    ) -> None:
        place = inbound.trace
        if place is None or not place.is_sampled:
            if not is_always_traced(decision.cause, degraded=decision.degraded):
                return
            if not self._late.has_room():
                return
            place = _late(place or OWN, decision)
        ends = self._now_ns()
        begins = ends - int(seconds * 1e9)
        with self._guard:
            for span in _spans(inbound, decision, place, (begins, ends), asked_ms):
                self._tracer.span_processor.on_end(
                    ReadableSpan(
                        resource=self._tracer.resource, instrumentation_scope=_SCOPE, **span
                    )
                )


class _PerSecond:
    """Room for so many in each second of the wall clock."""

    def __init__(self, limit: int, now_ns: Callable[[], int]) -> None:
        self._limit = limit
        self._now_ns = now_ns
        self._second = 0
        self._count = 0  # in that second

    def has_room(self) -> bool:
        """Take a place of this second, where there is one."""
        second = self._now_ns() // 1_000_000_000
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self._limit


def dispatch_spans() -> DispatchSpans | None:
    """Write to the process's own tracer provider; None if it is not the SDK's."""
    tracer = api.get_tracer_provider().get_tracer(SCOPE)
    return DispatchSpans(tracer) if isinstance(tracer, Tracer) else None


def _late(place: Trace, decision: Decision) -> Trace:
    """Sample a dispatch after all; its calls did not know, so no plugin has a part in it."""
    return Trace(place.id or own_trace_id(decision.id), _span_id(), "01", place.span)


def _spans(
    inbound: Inbound,
    decision: Decision,
    place: Trace,
    times: tuple[int, int],
    asked_ms: Sequence[float],
) -> Iterator[Mapping[str, Any]]:
    begins, ends = times
    context = _context(place.id, place.span, place.flags, is_remote=False)
    above = _context(place.id, place.parent, place.flags, is_remote=True) if place.parent else None
    yield {
        "name": f"dispatch {decision.event.type}",
        "context": context,
        "parent": above,
        "kind": SpanKind.SERVER,
        "attributes": _of_dispatch(inbound, decision),
        "status": _UNSET if decision.cause in (None, "verdict") else _ERROR,
        "start_time": begins,
        "end_time": ends,
    }
    for record, at_ms in zip(decision.records, asked_ms, strict=False):  # none without a dispatch
        if not record.attempt:  # it was not asked
            continue
        sent = begins + int(at_ms * 1e6)
        yield {
            "name": f"call {record.plugin}",
            "context": _context(place.id, _span_id(), place.flags, is_remote=False),
            "parent": context,
            "kind": SpanKind.CLIENT,
            "attributes": _of_call(decision, record),
            "status": _UNSET if record.failure is None else _ERROR,
            "start_time": sent,
            "end_time": sent + int(record.ms * 1e6),
        }


def _of_dispatch(inbound: Inbound, decision: Decision) -> dict[str, Any]:
    failed = decision.cause not in (None, "verdict")
    return _said(
        {
            **_message("dispatch", "process", decision),
            "messaging.destination.name": subjects.emit(inbound.principal, decision.event.type),
            "messaging.consumer.group.name": subjects.DISPATCHER_QUEUE,
            "messaging.message.body.size": len(inbound.body),
            "error.type": (decision.code or decision.cause) if failed else None,
            "hookbus.decision": decision.id,
            "hookbus.outcome": decision.outcome,
            "hookbus.cause": decision.cause,
            "hookbus.code": decision.code,
            "hookbus.by": decision.by,
            "hookbus.degraded": decision.degraded or None,
            "hookbus.dry_run": decision.dry_run or None,
            "hookbus.generation": decision.generation,
            "hookbus.principal": inbound.principal,
        }
    )


def _of_call(decision: Decision, record: PluginRecord) -> dict[str, Any]:
    return _said(
        {
            **_message("call", "send", decision),
            "messaging.destination.name": subjects.call(record.plugin, record.hook),
            "error.type": record.failure,
            "hookbus.plugin": record.plugin,
            "hookbus.hook": record.hook,
            "hookbus.phase": record.phase,
            "hookbus.mode": record.mode,
            "hookbus.round": record.round,
            "hookbus.attempt": record.attempt,
            "hookbus.verdict": record.verdict,
            "hookbus.failure": record.failure,
            "hookbus.resolution": record.resolution,
            "hookbus.changed": len(record.pointers) or None,
        }
    )


def _message(name: str, type_: str, decision: Decision) -> dict[str, Any]:
    return {
        "messaging.system": "nats",
        "messaging.operation.name": name,
        "messaging.operation.type": type_,
        "cloudevents.event_id": decision.event.id,
        "cloudevents.event_source": decision.event.source,
        "cloudevents.event_type": decision.event.type,
        "cloudevents.event_spec_version": "1.0",
    }


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _context(trace: str, span: str, flags: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote, TraceFlags(int(flags, 16)))


def _span_id() -> str:
    return f"{_IDS.generate_span_id():016x}"
