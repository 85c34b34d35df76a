"""What a dispatcher traces: as the emitter did, a share of the rest, and all that failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.otel.dispatches import MAX_ASKED, MAX_LATE, DispatchSpans
from hookbus.registry import observers
from hookbus.telemetry import ATTRIBUTES, SPANS
from tests.flow.bus import Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{ABOVE}-01", f"00-{TRACE}-{ABOVE}-00"
NOW = 1_700_000_000_000_000_000  # nanoseconds since the epoch, at which every dispatch ends
MS = 1_000_000


class Spans:
    """What a dispatcher has written."""

    def __init__(self, dice: Callable[[], float] = lambda: 0.5) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        tracer = provider.get_tracer("hookbus")
        assert isinstance(tracer, Tracer)
        self.now = NOW
        self.tracing = DispatchSpans(tracer, now_ns=lambda: self.now, dice=dice)

    def count(self) -> int:
        return len(self._kept.get_finished_spans())

    def all(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._kept.get_finished_spans()}

    def dispatch(self) -> ReadableSpan:
        return self.all()["dispatch message_received"]


@pytest.fixture
def spans(memory_bus: Bus) -> Spans:
    found = Spans()
    memory_bus.tracing = found.tracing
    return found


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Its trace, and the span above it."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}" if span.parent else ""


def span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def times(span: ReadableSpan) -> tuple[int, int]:
    """Milliseconds from the end of the dispatch."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.start_time - NOW) // MS, (span.end_time - NOW) // MS


async def test_a_sampled_dispatch_has_a_span_with_its_calls_below_at_their_times(
    memory_bus: Bus, spans: Spans
) -> None:
    change = says("intercept", merge={"text": "ho"}).at(0.05)
    first = Scripted("first", change, phase="mutate")
    slow, fast = Scripted("slow", CONTINUE.at(0.2)), Scripted("fast", CONTINUE.at(0.1))
    await memory_bus.start(first, slow, fast, trace_sampling=0)

    decision = await memory_bus.emit(traceparent=SAMPLED)

    found = spans.all()
    dispatch = found["dispatch message_received"]
    assert sorted(found) == ["call fast", "call first", "call slow", "dispatch message_received"]
    assert ids(dispatch) == (TRACE, ABOVE)
    assert decision.trace_id == TRACE
    assert {found[f"call {p}"].kind for p in ("first", "slow", "fast")} == {SpanKind.CLIENT}
    for plugin in (first, slow, fast):
        assert ids(found[f"call {plugin.name}"]) == (TRACE, span_id(dispatch))
        assert plugin.calls[0]["traceparent"] == f"00-{TRACE}-{span_id(dispatch)}-01"
        assert plugin.calls[0]["event"]["traceparent"] == SAMPLED
    shown = {name: times(span) for name, span in found.items()}
    assert shown == {
        "dispatch message_received": (-250, 0),
        "call first": (-250, -200),
        "call slow": (-200, 0),
        "call fast": (-200, -100),
    }
    assert (dispatch.attributes or {})["hookbus.decision"] == decision.id
    assert (found["call first"].attributes or {})["hookbus.changed"] == 1


async def test_what_is_not_sampled_makes_no_span_and_reaches_no_plugin(
    memory_bus: Bus, spans: Spans
) -> None:
    plugin = Scripted("a", CONTINUE, CONTINUE, says("block", reason="no"))
    await memory_bus.start(plugin, trace_sampling=0.4)

    decisions = [await memory_bus.emit(), await memory_bus.emit(traceparent=NOT_SAMPLED)]
    blocked = await memory_bus.emit()

    assert [d.trace_id for d in decisions] == [None, TRACE]
    assert (blocked.outcome, blocked.trace_id) == ("block", None)
    assert not any("traceparent" in call for call in plugin.calls)
    assert spans.all() == {}


async def test_a_share_of_the_events_without_a_trace_begins_one_and_the_settings_say_which(
    memory_bus: Bus, spans: Spans
) -> None:
    plugin = Scripted("a")
    await memory_bus.start(plugin, trace_sampling=0.4)
    before = await memory_bus.emit()
    tree = {"mode": "development", "trace_sampling": 0.6}
    await memory_bus.control("apply", settings=tree)
    await memory_bus.served()

    decision = await memory_bus.emit()

    dispatch = spans.dispatch()
    assert before.trace_id is None
    assert ids(dispatch) == (decision.trace_id, "")
    assert plugin.calls[1]["traceparent"] == f"00-{decision.trace_id}-{span_id(dispatch)}-01"


@pytest.mark.parametrize("parent", [None, NOT_SAMPLED])
async def test_a_block_by_failure_is_always_traced(
    memory_bus: Bus, spans: Spans, parent: str | None
) -> None:
    plugin = Scripted("guard", SILENCE, timeout_ms=100)
    await memory_bus.start(plugin, trace_sampling=0)

    decision = await memory_bus.emit(**{"traceparent": parent} if parent else {})

    dispatch, call = spans.dispatch(), spans.all()["call guard"]
    own = decision.id.replace("-", "")
    assert decision.trace_id == (TRACE if parent else own)
    assert ids(dispatch) == (decision.trace_id, ABOVE if parent else "")
    assert ids(call) == (decision.trace_id, span_id(dispatch))
    assert "traceparent" not in plugin.calls[0]
    for span in (dispatch, call):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert (span.attributes or {})["error.type"] == "timeout"
    assert times(call) == (-100, 0)


async def test_a_degraded_decision_is_always_traced_and_no_error(
    memory_bus: Bus, spans: Spans
) -> None:
    await memory_bus.start(
        Scripted("guard", says("error", reason="no"), on_failure="open"), trace_sampling=0
    )

    decision = await memory_bus.emit()

    dispatch = spans.dispatch()
    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert ids(dispatch) == (decision.trace_id, "")
    assert (dispatch.attributes or {})["hookbus.degraded"] is True
    assert dispatch.status.status_code is StatusCode.UNSET
    assert spans.all()["call guard"].status.status_code is StatusCode.ERROR


async def test_a_storm_of_failures_is_not_traced_beyond_a_limit(
    memory_bus: Bus, spans: Spans
) -> None:
    await memory_bus.start(trace_sampling=0, max_event_bytes=1024)

    for _ in range(MAX_LATE + 50):
        await memory_bus.emit({"text": "x" * 2000})
    assert spans.count() == MAX_LATE
    spans.now += 1_000 * MS
    await memory_bus.emit({"text": "x" * 2000})

    assert spans.count() == MAX_LATE + 1


async def test_emitters_that_sample_all_their_events_are_traced_up_to_a_limit(
    memory_bus: Bus, spans: Spans
) -> None:
    plugin = Scripted("a")
    await memory_bus.start(plugin, trace_sampling=0)

    for _ in range(MAX_ASKED):
        await memory_bus.emit(traceparent=SAMPLED)
    beyond = await memory_bus.emit(traceparent=SAMPLED)
    assert spans.count() == 2 * MAX_ASKED  # the dispatch and its call
    assert (beyond.trace_id, "traceparent" in plugin.calls[-1]) == (TRACE, False)
    spans.now += 1_000 * MS
    await memory_bus.emit(traceparent=SAMPLED)

    assert spans.count() == 2 * MAX_ASKED + 2
    assert "traceparent" in plugin.calls[-1]


async def test_a_block_that_asked_nobody_is_traced(memory_bus: Bus, spans: Spans) -> None:
    await memory_bus.start(trace_sampling=0, max_event_bytes=1024)

    decision = await memory_bus.emit({"text": "x" * 2000})

    dispatch = spans.dispatch()
    assert (decision.cause, decision.trace_id) == ("limit", ids(dispatch)[0])
    assert (dispatch.attributes or {})["error.type"] == "event_too_large"


async def test_a_block_because_nothing_was_recorded_names_its_own_trace(
    memory_bus: Bus, spans: Spans
) -> None:
    await memory_bus.start(Scripted("a"), trace_sampling=0, audit="required")
    await memory_bus.forget_stream(subjects.DECISIONS_STREAM)

    decision = await memory_bus.emit_within(400)

    await observers.ensure_streams(memory_bus.streams, Settings())  # or the end would wait for it
    assert (decision.cause, decision.trace_id) == ("audit", ids(spans.dispatch())[0])


async def test_a_plugin_that_was_not_asked_has_no_span(memory_bus: Bus, spans: Spans) -> None:
    await memory_bus.start(Scripted("a", when=["data.text == 'other'"]))

    await memory_bus.emit(traceparent=SAMPLED)

    assert sorted(spans.all()) == ["dispatch message_received"]


async def test_no_attribute_holds_a_secret_or_what_a_plugin_said_of_it(
    memory_bus: Bus, spans: Spans
) -> None:
    secret = "correct-horse-battery"
    said = {"reason": f"it says {secret}", "code": secret, "message": secret}
    plugin = Scripted("guard", says("block", warnings=[secret], **said))
    await memory_bus.start(plugin, types={"message_received": {"secret": ["/password"]}})

    decision = await memory_bus.emit({"text": "hi", "password": secret}, traceparent=SAMPLED)

    assert decision.code == secret
    assert len(spans.all()) == 2
    assert secret not in "".join(span.to_json() for span in spans.all().values())


async def test_every_attribute_and_span_is_in_the_table(memory_bus: Bus, spans: Spans) -> None:
    change = says("intercept", merge={"text": "ho"})
    await memory_bus.start(Scripted("a", change, phase="mutate"), Scripted("b", SILENCE))

    await memory_bus.emit(traceparent=SAMPLED, dry_run=True)

    for name, span in spans.all().items():
        assert name.split()[0] in SPANS
        assert (span.attributes or {}).keys() <= ATTRIBUTES.keys()


async def test_a_span_processor_that_raises_changes_no_decision_and_is_one_line(
    memory_bus: Bus, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    class Pairing(SpanProcessor):
        """Expects that each span began; ours are written when they are over."""

        def on_end(self, span: ReadableSpan) -> None:
            raise KeyError(span.name)

    spans.provider.add_span_processor(Pairing())
    await memory_bus.start(Scripted("a"))

    decisions = [await memory_bus.emit(traceparent=SAMPLED) for _ in range(3)]

    assert {(decision.outcome, decision.trace_id) for decision in decisions} == {
        ("continue", TRACE)
    }
    [line] = [line for line in caplog.records if line.name.startswith("hookbus.otel")]
    assert line.getMessage().startswith("spans_not_written: KeyError at ")


async def test_an_observer_is_told_of_the_dispatch_it_observes(
    memory_bus: Bus, spans: Spans
) -> None:
    await memory_bus.start(observe="always")
    observed: list[bytes] = []
    await memory_bus.transport.subscribe(
        "hookbus.observe.>", lambda message: observed.append(message.data)
    )

    await memory_bus.emit(traceparent=SAMPLED)
    await memory_bus.until(lambda: len(observed) == 1)

    assert f"00-{TRACE}-{span_id(spans.dispatch())}-01".encode() in observed[0]
