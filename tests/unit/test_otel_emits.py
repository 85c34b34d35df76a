"""The span around an emit: made for whoever has a tracer, and nothing for all others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode, TraceState

from hookbus.emitter import Emitter
from hookbus.errors import InvalidEvent, Unavailable
from hookbus.message import Message
from hookbus.models import Decision, EventRef
from hookbus.otel.emits import Emits
from hookbus.otel.handlers import HandlerSpans
from hookbus.otel.setup import dispatch_tracing
from hookbus.otel.traces import gate
from hookbus.telemetry import ATTRIBUTES
from hookbus.testing.memory_message import MemoryMessage
from hookbus.wire.call import Call, Observed
from hookbus.wire.decision import encode_decision
from hookbus.wire.trace import trace_of
from tests.unit.test_wire_call import SAMPLED

EVENT = {"id": "1", "source": "/chat", "type": "message_received"}


class Service:
    """A service with a tracer of its own, and an emitter whose bus decides as *decided*."""

    def __init__(self, patch: pytest.MonkeyPatch, sampler: Sampler = ALWAYS_ON) -> None:
        self.kept = InMemorySpanExporter()
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.kept))
        patch.setattr(trace, "get_tracer_provider", lambda: provider)
        self.provider = provider
        self.tracer = provider.get_tracer("service")
        self.events: list[dict[str, Any]] = []
        self.decided: dict[str, Any] = {"outcome": "continue"}
        self.refused: Exception | None = None

    async def request(self, subject: str, body: bytes, *, timeout: float) -> Message:
        event = json.loads(body)
        self.events.append(event)
        if self.refused is not None:
            raise self.refused
        ref = EventRef(event["id"], event["source"], event["type"])
        decision = Decision(id="d-1", event=ref, generation=3, **self.decided)
        return MemoryMessage(subject, encode_decision(decision))

    def emit(self, **attributes: Any) -> Decision:
        emitter = Emitter(self, source="/chat", principal="web")  # type: ignore[arg-type]
        return asyncio.run(emitter.emit("message_received", {"text": "hi"}, **attributes))

    @property
    def span(self) -> ReadableSpan:
        [span] = self.kept.get_finished_spans()
        return span


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(monkeypatch)


def test_without_a_tracer_provider_an_event_is_left_as_it_is() -> None:
    event = dict(EVENT)

    with Emits("web").around("emit", event):
        pass

    assert event == EVENT


def test_an_emit_is_a_span_below_the_services_own_and_the_event_says_which(
    service: Service,
) -> None:
    with service.tracer.start_as_current_span("request") as above:
        service.emit()

    emitted = service.kept.get_finished_spans()[0]
    [event] = service.events
    place = trace_of(event["traceparent"])
    assert emitted.context is not None
    assert emitted.parent == above.get_span_context()
    assert place is not None
    assert (int(place.id, 16), int(place.span, 16)) == (
        emitted.context.trace_id,
        emitted.context.span_id,
    )
    assert place.is_sampled
    assert (emitted.name, emitted.kind) == ("emit message_received", SpanKind.CLIENT)
    said = emitted.attributes or {}
    assert said["messaging.destination.name"] == "hookbus.emit.web.message_received"
    assert (said["hookbus.decision"], said["hookbus.outcome"]) == ("d-1", "continue")
    assert said.keys() <= ATTRIBUTES.keys()
    assert emitted.status.status_code is StatusCode.UNSET


def test_the_callers_own_traceparent_wins(service: Service) -> None:
    service.emit(traceparent=SAMPLED.traceparent)

    assert service.events[0]["traceparent"] == SAMPLED.traceparent
    assert service.kept.get_finished_spans() == ()


def test_what_the_service_does_not_sample_says_so_to_the_bus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(monkeypatch, ALWAYS_OFF)

    service.emit()

    place = trace_of(service.events[0]["traceparent"])
    assert place is not None
    assert not place.is_sampled
    assert service.kept.get_finished_spans() == ()


def test_a_block_by_failure_is_an_error_and_one_by_a_verdict_is_not(service: Service) -> None:
    for cause in ("verdict", "failure"):
        service.decided = {"outcome": "block", "cause": cause, "code": "c", "reason": "r"}
        service.emit()

    verdict, failure = service.kept.get_finished_spans()
    assert verdict.status.status_code is StatusCode.UNSET
    assert failure.status.status_code is StatusCode.ERROR
    assert (failure.attributes or {})["error.type"] == "failure"


def test_what_is_raised_names_its_class_and_nothing_of_the_event(service: Service) -> None:
    service.refused = InvalidEvent("hunter2 is no text")

    with pytest.raises(InvalidEvent):
        service.emit()

    assert (service.span.attributes or {})["error.type"] == "InvalidEvent"
    assert service.span.status.description is None
    assert "hunter2" not in service.span.to_json()


def test_a_notification_is_a_producers_span(service: Service) -> None:
    emitter = Emitter(service, source="/chat")  # type: ignore[arg-type]

    with pytest.raises(Unavailable):  # what answers here is no answer to a notification
        asyncio.run(emitter.notify("message_received", {"text": "hi"}))

    assert (service.span.name, service.span.kind) == ("notify message_received", SpanKind.PRODUCER)
    assert "traceparent" in service.events[0]


@pytest.mark.parametrize(
    ("above", "linked", "is_sampled"),
    [("01", None, True), ("00", None, False), (None, "01", True), (None, "00", False)],
)
def test_the_gate_of_a_plugin_follows_the_span_above_or_the_linked_one(
    above: str | None, linked: str | None, is_sampled: bool
) -> None:
    def context(flags: str) -> trace.SpanContext:
        return trace.SpanContext(
            int("a" * 32, 16), int("b" * 16, 16), True, trace.TraceFlags(int(flags, 16))
        )

    tracer = TracerProvider(gate(0.0), shutdown_on_exit=False).get_tracer("t")
    parent = trace.set_span_in_context(trace.NonRecordingSpan(context(above))) if above else None
    links = [trace.Link(context(linked))] if linked else []

    span = tracer.start_span("x", context=parent, links=links)

    assert span.is_recording() == is_sampled


def test_the_state_of_a_trace_goes_along(service: Service) -> None:
    context = trace.SpanContext(
        int("a" * 32, 16),
        int("b" * 16, 16),
        True,
        trace.TraceFlags(1),
        TraceState([("vendor", "x")]),
    )
    with trace.use_span(trace.NonRecordingSpan(context)):
        service.emit()

    assert service.events[0]["tracestate"] == "vendor=x"


class Broken(SpanProcessor):
    """A service's own, with a defect at the beginning or the end of every span."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: object, parent_context: object = None) -> None:
        if self._at == "start":
            raise KeyError("hunter2")

    def on_end(self, span: object) -> None:
        if self._at == "end":
            raise KeyError("hunter2")


@pytest.fixture(params=["start", "end"])
def broken(service: Service, request: pytest.FixtureRequest) -> Service:
    service.provider.add_span_processor(Broken(request.param))
    return service


def test_a_span_processor_that_raises_changes_no_decision_and_is_one_line(
    broken: Service, caplog: pytest.LogCaptureFixture
) -> None:
    emitter = Emitter(broken, source="/chat")  # type: ignore[arg-type]
    for _ in range(3):
        decision = asyncio.run(emitter.emit("message_received", {"text": "hi"}))

    assert decision.id == "d-1"
    [line] = caplog.records
    assert line.getMessage().startswith("spans_not_written: KeyError at ")
    assert "hunter2" not in line.getMessage()


def test_a_span_processor_that_raises_hides_no_exception_of_the_emits(broken: Service) -> None:
    broken.refused = InvalidEvent("no")

    with pytest.raises(InvalidEvent):
        broken.emit()


def test_a_span_processor_that_raises_changes_no_answer_of_a_plugin(
    broken: Service, caplog: pytest.LogCaptureFixture
) -> None:
    spans = HandlerSpans()
    observed = Observed(v=1, phase="observe", event=EVENT, traceparent=SAMPLED.traceparent)
    call = Call(
        v=1,
        call="x",
        plugin="guard",
        hook="judge",
        phase="validate",
        timeout_ms=100,
        event=EVENT,
        traceparent=SAMPLED.traceparent,
    )

    async def answered() -> bytes | None:
        async def answering() -> bytes:
            return b'{"verdict":"continue"}'

        with spans.observation("guard", "watch", observed):
            pass
        with pytest.raises(ZeroDivisionError), spans.observation("guard", "watch", observed):
            raise ZeroDivisionError
        return await spans.call(call, answering())

    assert asyncio.run(answered()) == b'{"verdict":"continue"}'
    assert len(caplog.records) == 1


def test_a_provider_that_raises_leaves_dispatches_without_spans_and_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service.provider, "get_tracer", lambda *_: 1 / 0)

    assert dispatch_tracing() is None

    [line] = caplog.records
    assert line.getMessage().startswith(
        "no_telemetry: dispatches are not traced: ZeroDivisionError"
    )
