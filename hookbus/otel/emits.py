"""The span around an emit, in a process whose service, or `setup`, has a tracer provider.

Needs the API of OpenTelemetry only, and not even that where nobody traces.
"""

from __future__ import annotations

import time
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from hookbus import subjects
from hookbus.models import Decision
from hookbus.otel.guard import Guard
from hookbus.otel.setup import traced_api

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

SCOPE: Final = "hookbus"
LOOK: Final = 1.0  # seconds until a process that did not trace is looked at again


class Emitted:
    """No span: what nearly every emit gets, made once."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def decided(self, decision: Decision) -> None:
        """Say what came of it."""


_NOTHING: Final = Emitted()


class Emits:
    """Makes the spans of one emitter."""

    def __init__(self, principal: str) -> None:
        self._principal = principal
        self._looks_at = 0.0
        self._provider: Any = None
        self._tracer: Tracer | None = None
        self._guard = Guard()

    def around(self, what: Literal["emit", "notify"], event: dict[str, Any]) -> Emitted:
        """Give *event* its ``traceparent`` and return its span; the caller's own one wins."""
        if time.monotonic() < self._looks_at:
            return _NOTHING
        with self._guard:
            return self._begun(what, event)
        return _NOTHING

    def _begun(self, what: Literal["emit", "notify"], event: dict[str, Any]) -> Emitted:
        api = traced_api()
        if api is None:
            self._looks_at = time.monotonic() + LOOK
            return _NOTHING
        if "traceparent" in event:
            return _NOTHING
        provider = api.get_tracer_provider()
        if self._tracer is None or provider is not self._provider:  # making a tracer is dear
            self._provider, self._tracer = provider, provider.get_tracer(SCOPE)
        kind = api.SpanKind.CLIENT if what == "emit" else api.SpanKind.PRODUCER
        span = self._tracer.start_span(f"{what} {event['type']}", kind=kind)
        context = span.get_span_context()
        if context.is_valid:
            event["traceparent"] = (
                f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
            )
            if context.trace_state:
                event["tracestate"] = context.trace_state.to_header()
        if not span.is_recording():
            return _NOTHING
        subject = getattr(subjects, what)(self._principal, event["type"])
        span.set_attributes(
            {
                "messaging.system": "nats",
                "messaging.operation.name": what,
                "messaging.operation.type": "send",
                "messaging.destination.name": subject,
                "cloudevents.event_id": event["id"],
                "cloudevents.event_source": event["source"],
                "cloudevents.event_type": event["type"],
                "cloudevents.event_spec_version": "1.0",
            }
        )
        return _Traced(api, span, self._guard)


class _Traced(Emitted):
    __slots__ = ("_api", "_guard", "_span")

    def __init__(self, api: ModuleType, span: Span, guard: Guard) -> None:
        self._api = api
        self._span = span
        self._guard = guard

    def decided(self, decision: Decision) -> None:
        with self._guard:
            self._tell(decision)

    def _tell(self, decision: Decision) -> None:
        span = self._span
        span.set_attribute("hookbus.decision", decision.id)
        span.set_attribute("hookbus.outcome", decision.outcome)
        span.set_attribute("hookbus.generation", decision.generation)
        if decision.degraded:
            span.set_attribute("hookbus.degraded", True)
        if decision.cause is not None:
            span.set_attribute("hookbus.cause", decision.cause)
            if decision.cause != "verdict":
                self._failed(decision.cause)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._guard:
            if kind is not None:  # its text may quote what was emitted
                self._failed(kind.__name__)
            self._span.end()

    def _failed(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(self._api.StatusCode.ERROR)
