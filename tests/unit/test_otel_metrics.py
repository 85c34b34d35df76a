"""What is pushed over OTLP: the same numbers as at /metrics, and never at anybody's cost."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from hookbus.families import Family, gauge, histogram
from hookbus.measures import BUCKETS_MS
from hookbus.otel.environment import Wanted
from hookbus.otel.losses import Losses
from hookbus.otel.metrics import GIVE_UP, GRACE, Metrics, metrics_data, start
from hookbus.otel.posts import Posts
from hookbus.server.metrics import of_dispatcher
from tests.unit.test_metrics import stats

PATIENCE = 30.0


def encoded(families: list[Family]) -> dict[str, Any]:
    """The metrics of a message by their names, as a collector reads them."""
    data = metrics_data(families, Resource({"service.name": "hookbus-dispatcher"}), 5, 9)
    message = type(encode_metrics(data)).FromString(encode_metrics(data).SerializeToString())
    [resource] = message.resource_metrics
    [scope] = resource.scope_metrics
    assert resource.resource.attributes[0].value.string_value == "hookbus-dispatcher"
    return {metric.name: metric for metric in scope.metrics}


def test_every_family_that_has_samples_is_in_the_message_under_its_own_name() -> None:
    families = list(of_dispatcher(stats(plugins=("a", "b"), **{"a/enforce": "open"})))

    assert list(encoded(families)) == [family.name for family in families if family.samples]


def test_a_counter_is_a_cumulative_sum_with_its_labels() -> None:
    found = encoded(list(of_dispatcher(stats(plugins=("guard",)))))["hookbus_plugin_calls_total"]

    [point] = found.sum.data_points
    assert (found.sum.is_monotonic, found.sum.aggregation_temporality) == (True, 2)
    assert {pair.key: pair.value.string_value for pair in point.attributes} == {
        "plugin": "guard",
        "phase": "validate",
        "result": "timeout",
    }
    assert (point.as_int, point.start_time_unix_nano, point.time_unix_nano) == (1, 5, 9)


def test_a_gauge_is_a_gauge_with_its_unit() -> None:
    found = encoded(list(of_dispatcher(stats())))["hookbus_unacknowledged_oldest_seconds"]

    assert (found.unit, found.gauge.data_points[0].as_double) == ("s", 1.5)


def test_a_histogram_has_the_counts_of_each_bucket_and_one_more_than_bounds() -> None:
    found = encoded(list(of_dispatcher(stats(plugins=("a", "b")))))

    [point] = found["hookbus_decision_duration_seconds"].histogram.data_points
    assert list(point.explicit_bounds) == [ms / 1000 for ms in BUCKETS_MS]
    assert list(point.bucket_counts) == [1, 1, *[0] * 15, 1]
    assert (point.count, point.sum) == (3, pytest.approx(99.00021))
    assert not point.HasField("min")
    plugins = found["hookbus_plugin_duration_seconds"].histogram.data_points
    assert [point.attributes[0].value.string_value for point in plugins] == ["a", "b"]
    assert [point.count for point in plugins] == [1, 1]


def test_two_histograms_of_one_family_share_nothing() -> None:
    samples = (
        *histogram([0.1], [1, 2], 3.0, plugin="a"),
        *histogram([0.1], [0, 5], 9.0, plugin="b"),
    )

    found = encoded([Family("x_seconds", "histogram", "X.", samples)])["x_seconds"]

    points = [(list(p.bucket_counts), p.sum) for p in found.histogram.data_points]
    assert points == [([1, 2], 3.0), ([0, 5], 9.0)]


class Exporter(MetricExporter):
    """Keeps what it is given, after *gate* opens."""

    def __init__(self, result: MetricExportResult = MetricExportResult.SUCCESS) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.got: list[float] = []
        self.asked = threading.Semaphore(0)
        self._result = result

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self.asked.release()
        self.gate.wait(PATIENCE)
        [metric] = metrics_data.resource_metrics[0].scope_metrics[0].metrics
        self.got += [point.value for point in metric.data.data_points]  # type: ignore[union-attr]
        return self._result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.gate.set()


def metrics(exporter: Exporter) -> Metrics:
    return Metrics(exporter, "http://127.0.0.1:1", Posts(), Resource({}), 60.0)


def test_what_is_offered_while_the_collector_is_slow_is_replaced_by_what_is_newer() -> None:
    exporter = Exporter()
    exporting = metrics(exporter)

    for number in range(1_000):
        exporting.offer([gauge("x", "X.", number)])
    exporter.gate.set()
    exporting.stop()

    assert exporter.got[-1] == 999
    assert len(exporter.got) <= 2


def test_a_collector_that_never_answers_costs_less_than_a_second_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = Exporter()
    exporter.shutdown = lambda *_, **__: None  # type: ignore[method-assign]
    exporting = metrics(exporter)
    exporting.offer([gauge("x", "X.", 1)])

    began, losses = time.monotonic(), Losses()
    losses.ask(exporting.stop)
    losses.tell()

    assert GRACE + GIVE_UP < 1.0
    assert time.monotonic() - began < PATIENCE
    [line] = caplog.records
    assert line.message == (
        "telemetry_lost: the last metrics did not reach the collector at http://127.0.0.1:1; "
        "does it listen there?"
    )
    exporter.gate.set()


def test_a_collector_that_takes_nothing_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = Exporter(MetricExportResult.FAILURE)
    exporter.gate.set()
    exporting = metrics(exporter)

    for number in range(3):
        exporting.offer([gauge("x", "X.", number)])
        assert exporter.asked.acquire(timeout=PATIENCE)
    losses = Losses()
    losses.ask(exporting.stop)
    losses.tell()

    [line] = caplog.records
    assert line.message.startswith(
        "metrics_not_exported: the collector at http://127.0.0.1:1 takes none; "
    )


def test_what_fails_after_the_last_offer_is_said_once_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = Exporter(MetricExportResult.FAILURE)
    exporter.gate.set()
    exporting = metrics(exporter)

    exporting.offer([gauge("x", "X.", 1)], is_last=True)
    exporting._thread.join(PATIENCE)  # it failed before anybody said stop
    assert caplog.records == []
    losses = Losses()
    losses.ask(exporting.stop)
    losses.tell()

    [line] = caplog.records
    assert line.message.startswith("telemetry_lost: the last metrics did not reach")


def test_an_exporter_that_raises_ends_nothing() -> None:
    exporter = Exporter()
    exporter.gate.set()
    exporting = metrics(exporter)
    exporting.offer([gauge("x", "X.", 1), gauge("y", "Y.", 1)])  # which it cannot unpack
    assert exporter.asked.acquire(timeout=PATIENCE)
    exporting.offer([gauge("x", "X.", 2)])
    exporting.stop()

    assert exporter.got == [2]


@pytest.mark.parametrize("said", ["soon", "0", "-5"])
def test_an_interval_that_is_no_time_is_refused(said: str) -> None:
    environ = {"OTEL_METRIC_EXPORT_INTERVAL": said}

    with pytest.raises(ValueError, match=rf"OTEL_METRIC_EXPORT_INTERVAL='{said}'; expected"):
        start(Wanted("otlp", "http://127.0.0.1:1"), "hookbus-dispatcher", "0", environ)
