"""Metrics to a collector: the same families that /metrics has, pushed over OTLP.

They are written as OTLP's data points directly. The SDK's instruments would have to count a second
time on the hot path: its histograms cannot be read from numbers that are there already.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from hookbus.families import Family, Sample
from hookbus.otel.environment import Wanted
from hookbus.otel.losses import Lost, reason
from hookbus.otel.posts import Posts, session_for
from hookbus.otel.resource import resource_of
from hookbus.otel.variables import is_whole

GRACE: Final = 0.5  # seconds that the last export still has when the role has stopped
GIVE_UP: Final = 0.25  # seconds for a request on its way, after the exporter is told to give up
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
DEFAULT_INTERVAL_MS: Final = 60_000  # OpenTelemetry's own

_UNITS: Final = {"_seconds": "s", "_bytes": "By"}  # by the end of a family's name
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE

log = logging.getLogger(__name__)


class Metrics:
    """Exports what it is offered on a thread of its own; only the newest is kept.

    All numbers are cumulative, so what a slow collector misses is in the next export. It never
    blocks whoever offers.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        endpoint: str,
        posts: Posts,
        resource: Resource,
        interval: float,
    ) -> None:
        self.interval = interval  # seconds between two offers
        self._exporter = exporter
        self._endpoint = endpoint
        self._posts = posts
        self._resource = resource
        self._started = time.time_ns()
        self._newest: Sequence[Family] = ()
        self._changed = threading.Condition()
        self._is_ending = False
        self._is_told = False
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="hookbus-otel-metrics", daemon=True)
        self._thread.start()

    def offer(self, families: Iterable[Family], *, is_last: bool = False) -> None:
        """Have them exported, as the numbers of now; the last ones at the end of the process."""
        with self._changed:
            self._newest = tuple(families)
            self._is_ending |= is_last  # at once: what fails from now on is said at the end
            self._changed.notify()

    def stop(self) -> Lost | None:
        """Wait for what was offered, for less than a second; return it if it did not arrive."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(GRACE)
        if self._thread.is_alive():
            self._exporter.shutdown()
            self._thread.join(GIVE_UP)
        if (self._has_failed or self._thread.is_alive()) and not self._is_told:
            return Lost("the last metrics", self._endpoint, self._posts.failure)
        return None

    def _run(self) -> None:
        while families := self._wait():
            self._has_failed = self._export(families) is not MetricExportResult.SUCCESS
            if self._has_failed and not self._is_ending:
                self._tell()

    def _tell(self) -> None:
        """Say it in one line, once, while the process still runs."""
        if not self._is_told:
            self._is_told = True
            log.warning(
                "metrics_not_exported: the collector at %s takes none; %s",
                self._endpoint,
                reason(self._posts.failure),
            )

    def _wait(self) -> Sequence[Family]:
        """Return what is to be exported next; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._is_ending)
            newest, self._newest = self._newest, ()
        return newest

    def _export(self, families: Sequence[Family]) -> MetricExportResult:
        try:
            return self._exporter.export(
                metrics_data(families, self._resource, self._started, time.time_ns())
            )
        except Exception:  # whatever the exporter meets: the next one is tried all the same
            return MetricExportResult.FAILURE


def start(wanted: Wanted, service: str, version: str, environ: Mapping[str, str]) -> Metrics:
    """Begin to export as *wanted*; nothing is sent before it is offered.

    Raises:
        ValueError: ``OTEL_METRIC_EXPORT_INTERVAL`` is no number of milliseconds.
    """
    interval_ms = environ.get(INTERVAL, "").strip() or str(DEFAULT_INTERVAL_MS)
    if not is_whole(interval_ms):
        raise ValueError(f"{INTERVAL}={interval_ms!r}; expected whole milliseconds above 0")
    console = wanted.exporter == "console"
    posts = Posts()
    exporter: MetricExporter = (
        ConsoleMetricExporter()
        if console
        else OTLPMetricExporter(session=session_for("metrics", posts, environ))
    )
    resource = resource_of(service, version, environ)
    return Metrics(exporter, wanted.endpoint, posts, resource, int(interval_ms) / 1000)


def metrics_data(
    families: Iterable[Family], resource: Resource, started: int, now: int
) -> MetricsData:
    """Write *families* as OTLP has them; *started* and *now* are nanoseconds since the epoch."""
    metrics = [
        Metric(f.name, f.help, _unit(f.name), _data(f, started, now)) for f in families if f.samples
    ]
    scope = ScopeMetrics(InstrumentationScope("hookbus"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _data(family: Family, started: int, now: int) -> Sum | Gauge | Histogram:
    if family.kind == "histogram":
        return Histogram(list(_histograms(family.samples, started, now)), _CUMULATIVE)
    points = [
        NumberDataPoint(sample.labels, started, now, sample.value) for sample in family.samples
    ]
    return Gauge(points) if family.kind == "gauge" else Sum(points, _CUMULATIVE, is_monotonic=True)


def _histograms(samples: Iterable[Sample], started: int, now: int) -> Iterator[HistogramDataPoint]:
    """Read Prometheus' samples of histograms: each one's buckets, then its sum and its count."""
    bounds: list[float] = []
    counts: list[int] = []
    seen, total = 0, 0.0
    for sample in samples:
        if sample.suffix == "_bucket":
            bounds.append(float(sample.labels["le"]))
            counts.append(int(sample.value) - seen)
            seen = int(sample.value)
        elif sample.suffix == "_sum":
            total = sample.value
        else:
            yield HistogramDataPoint(
                attributes=sample.labels,
                start_time_unix_nano=started,
                time_unix_nano=now,
                count=seen,
                sum=total,
                bucket_counts=counts,
                explicit_bounds=bounds[:-1],  # the last is infinite, and OTLP's is not said
                min=None,  # type: ignore[arg-type]  # optional in OTLP, and not known
                max=None,  # type: ignore[arg-type]
            )
            bounds, counts, seen = [], [], 0
