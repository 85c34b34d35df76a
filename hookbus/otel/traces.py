"""Spans to a collector: provider, gate and exporter, and an end that takes seconds at most."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from hookbus.otel.ending import end
from hookbus.otel.environment import Wanted
from hookbus.otel.losses import Lost, Stop, reason
from hookbus.otel.posts import Posts, session_for
from hookbus.otel.resource import resource_of
from hookbus.otel.variables import batch_size, names_sampler

#: Share of the traces that begin in a plugin; of those that begin in the dispatcher the settings
#: say it (``trace_sampling``).
SHARE: Final = 0.01

log = logging.getLogger(__name__)


def start(wanted: Wanted, service: str, version: str, environ: Mapping[str, str]) -> Stop | None:
    """Make the process's tracer provider and return what ends it; None where it has one."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    console = wanted.exporter == "console"
    posts = Posts()
    exporter: SpanExporter = (
        ConsoleSpanExporter()
        if console
        else OTLPSpanExporter(session=session_for("traces", posts, environ))
    )
    counted = Counted(exporter, wanted.endpoint, posts)
    provider = TracerProvider(
        # the SDK's own default takes every trace; a variable may say another
        sampler=None if names_sampler(environ) else gate(SHARE),
        resource=resource_of(service, version, environ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(CountedBatches(counted, batch_size(environ)))
    trace.set_tracer_provider(provider)

    def stop() -> Lost | None:
        counted.is_ending = True
        end(counted.shutdown, provider.shutdown)
        lost = counted.lost
        return Lost(lost, wanted.endpoint, posts.failure) if lost else None

    return stop


def gate(share: float) -> Sampler:
    """As its parent; one without a parent as what it is linked to, else *share* of them."""
    return ParentBased(_Linked(share))


class _Linked(TraceIdRatioBased):
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return super().should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )


class Counted(SpanExporter):
    """Another exporter, and how much of what it was given arrived.

    Attributes:
        is_ending: what fails from now on is said at the end of the process.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str, posts: Posts) -> None:
        self.is_ending = False
        self._exporter = exporter
        self._endpoint = endpoint
        self._posts = posts
        self._is_told = False
        self._lock = threading.Lock()
        self._handed = 0
        self._arrived = 0

    def hand(self) -> None:
        """Count one span that is to be exported; from any thread."""
        with self._lock:
            self._handed += 1

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            with self._lock:
                self._arrived += len(spans)
        elif not (self._is_told or self.is_ending):
            self._is_told = True
            log.warning(
                "spans_not_exported: the collector at %s takes none; %s",
                self._endpoint,
                reason(self._posts.failure),
            )
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    @property
    def lost(self) -> str:
        """``"2 of 3 spans"`` that did not arrive; empty if all did."""
        lost = self._handed - self._arrived
        return f"{lost} of {self._handed} spans" if lost else ""


class CountedBatches(BatchSpanProcessor):
    """The SDK's own, which drops what its queue has no room for."""

    def __init__(self, counted: Counted, batch_size: int | None) -> None:
        super().__init__(counted, max_export_batch_size=batch_size)
        self._counted = counted

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._counted.hand()
        super().on_end(span)
