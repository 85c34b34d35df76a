"""The span around a plugin's handler, below the dispatch that its call names.

Only calls of sampled traces have one, and only a process whose author, or `setup`, has a tracer
provider. The handler's own spans and emits belong to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hookbus import subjects
from hookbus.otel.emits import SCOPE
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


async def traced_call(call: Call, answering: Awaitable[bytes | None]) -> bytes | None:
    """Await the verdict of a call within its span, where there is one to make."""
    api, trace = traced_api(), trace_of(call.traceparent)
    if api is None or trace is None:
        return await answering
    parent = api.set_span_in_context(api.NonRecordingSpan(_context(api, trace)))
    name, kind = f"handle {call.plugin}", api.SpanKind.SERVER
    with _current(api, name, context=parent, kind=kind) as span:
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
        _tell(api, span, body)
        return body


@contextlib.contextmanager
def traced_observation(plugin: str, hook: str, observed: Observed) -> Iterator[None]:
    """Trace an observer's handler: on its own, linked to the dispatch, which is long over."""
    api, trace = traced_api(), trace_of(observed.traceparent)
    if api is None or trace is None:
        yield
        return
    links = [api.Link(_context(api, trace))]
    with _current(api, f"observe {plugin}", kind=api.SpanKind.CONSUMER, links=links) as span:
        event_type = observed.event.get("type")
        span.set_attributes(_message("observe", plugin, hook, observed.event))
        if isinstance(event_type, str):
            span.set_attribute("messaging.destination.name", subjects.observe(event_type))
        span.set_attribute("hookbus.phase", "observe")
        if observed.decision is not None:
            span.set_attribute("hookbus.decision", observed.decision.id)
        yield


@contextlib.contextmanager
def _current(api: ModuleType, name: str, **options: Any) -> Iterator[Span]:
    """A span that is the current one within the block; what is raised there names its class."""
    tracer = api.get_tracer(SCOPE)
    options |= {"record_exception": False, "set_status_on_exception": False}  # it may quote data
    with tracer.start_as_current_span(name, **options) as span:
        try:
            yield span
        except BaseException as e:
            _fail(api, span, type(e).__name__)
            raise


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
