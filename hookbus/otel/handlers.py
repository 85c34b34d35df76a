"""The span around a plugin's handler, below the dispatch that its call names.

Only calls of sampled traces have one, and only a process whose author, or `setup`, has a tracer
provider. The handler's own spans and emits belong to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from hookbus import subjects
from hookbus.otel.emits import SCOPE
from hookbus.otel.guard import Guard
from hookbus.otel.setup import traced_api
from hookbus.wire.call import Call, Observed
from hookbus.wire.limits import NOT_JSON
from hookbus.wire.trace import Trace, trace_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext


class _Said(msgspec.Struct, frozen=True):
    verdict: str
    code: str | None = None


_decode_said: Final = msgspec.json.Decoder(_Said).decode


class HandlerSpans:
    """Makes the spans of one plugin's handlers; what its tracer raises changes no answer."""

    def __init__(self) -> None:
        self._guard = Guard()

    async def call(self, call: Call, answering: Awaitable[bytes | None]) -> bytes | None:
        """Await the verdict of a call within its span, where there is one to make."""
        with self._current(f"handle {call.plugin}", "SERVER", call.traceparent) as started:
            if started is None:
                return await answering
            api, span = started
            with self._guard:
                span.set_attributes(
                    {
                        **_message("handle", call.plugin, call.hook, call.event),
                        "messaging.destination.name": subjects.call(call.plugin, call.hook),
                        "hookbus.phase": call.phase,
                        "hookbus.round": call.round,
                        "hookbus.attempt": call.attempt,
                        "hookbus.generation": call.generation,
                    }
                )
            body = await answering
            with self._guard:
                _tell(api, span, body)
            return body

    @contextlib.contextmanager
    def observation(self, plugin: str, hook: str, observed: Observed) -> Iterator[None]:
        """Trace an observer's handler: on its own, linked to the dispatch, which is long over."""
        with self._current(f"observe {plugin}", "CONSUMER", observed.traceparent) as started:
            if started is not None:
                with self._guard:
                    started[1].set_attributes(_of_observation(plugin, hook, observed))
            yield

    @contextlib.contextmanager
    def _current(
        self, name: str, kind: Literal["SERVER", "CONSUMER"], traceparent: str | None
    ) -> Iterator[tuple[ModuleType, Span] | None]:
        """A span that is the current one within the block; what is raised there names its class.

        A server's is below what *traceparent* names, a consumer's is linked to it. None: nobody
        traces, or it is no trace, or the tracer raised.
        """
        started = None
        with self._guard:
            started = _started(name, kind, traceparent)
        if started is None:
            yield None
            return
        api, span = started
        try:
            # what is raised may quote data
            with api.use_span(span, record_exception=False, set_status_on_exception=False):
                yield started
        except BaseException as e:
            with self._guard:
                _fail(api, span, type(e).__name__)
            raise
        finally:
            with self._guard:
                span.end()


def _started(
    name: str, kind: Literal["SERVER", "CONSUMER"], traceparent: str | None
) -> tuple[ModuleType, Span] | None:
    api, trace = traced_api(), trace_of(traceparent)
    if api is None or trace is None:
        return None
    named, options = _context(api, trace), dict[str, Any]()
    if kind == "SERVER":
        options["context"] = api.set_span_in_context(api.NonRecordingSpan(named))
    else:
        options["links"] = [api.Link(named)]
    return api, api.get_tracer(SCOPE).start_span(name, kind=api.SpanKind[kind], **options)


def _of_observation(plugin: str, hook: str, observed: Observed) -> dict[str, str]:
    said = _message("observe", plugin, hook, observed.event) | {"hookbus.phase": "observe"}
    event_type = observed.event.get("type")
    if isinstance(event_type, str):
        said["messaging.destination.name"] = subjects.observe(event_type)
    if observed.decision is not None:
        said["hookbus.decision"] = observed.decision.id
    return said


def _tell(api: ModuleType, span: Span, body: bytes | None) -> None:
    if body is None:
        return _fail(api, span, "timeout")
    with contextlib.suppress(*NOT_JSON):
        said = _decode_said(body)
        if said.verdict == "error":
            return _fail(api, span, said.code or "service_error")
        span.set_attribute("hookbus.verdict", said.verdict)
    return None


def _fail(api: ModuleType, span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(api.StatusCode.ERROR)


def _message(what: str, plugin: str, hook: str, event: Mapping[str, Any]) -> dict[str, str]:
    """What a message's event says is checked: anybody may have written an observed one."""
    members = {f"cloudevents.event_{name}": event.get(name) for name in ("id", "source", "type")}
    return {
        "messaging.system": "nats",
        "messaging.operation.name": what,
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": plugin,
        "cloudevents.event_spec_version": "1.0",
        **{name: text for name, text in members.items() if isinstance(text, str)},
        "hookbus.plugin": plugin,
        "hookbus.hook": hook,
    }


def _context(api: ModuleType, trace: Trace) -> SpanContext:
    context: SpanContext = api.SpanContext(
        int(trace.id, 16), int(trace.span, 16), True, api.TraceFlags(int(trace.flags, 16))
    )
    return context
