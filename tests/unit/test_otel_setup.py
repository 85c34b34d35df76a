"""The standard variables: what is exported, and what is said where it cannot be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from hookbus.otel import traces
from hookbus.otel.ending import end
from hookbus.otel.environment import Wanted, problems, wanted
from hookbus.otel.losses import Losses, Lost, reason
from hookbus.otel.posts import Posts
from hookbus.otel.resource import resource_of
from hookbus.otel.setup import dispatch_tracing, telemetry
from hookbus.otel.traces import Counted
from hookbus.otel.variables import batch_size, names_sampler

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HERE = {ENDPOINT: "http://127.0.0.1:4318"}
OTLP = Wanted("otlp", "http://127.0.0.1:4318")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Wanted()),
        (HERE, OTLP),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, OTLP),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318"}, Wanted()),
        ({**HERE, "OTEL_TRACES_EXPORTER": "none"}, Wanted()),
        ({**HERE, "OTEL_SDK_DISABLED": "TRUE"}, Wanted()),
        ({**HERE, "OTEL_METRICS_EXPORTER": "none"}, OTLP),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Wanted("otlp", "http://localhost:4318")),
        ({"OTEL_TRACES_EXPORTER": "console"}, Wanted("console", "the standard output")),
        ({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, OTLP),
        ({ENDPOINT: "https://user:word@host/a?key=b"}, Wanted("otlp", "https://host")),
    ],
)
def test_the_variables_say_what_is_exported(environ: Mapping[str, str], expected: Wanted) -> None:
    assert wanted("traces", environ) == expected


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER='zipkin'; expected one of otlp, console, none;"
            " no traces are exported",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'; expected 'http/protobuf';"
            " nothing is exported by it",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL='grpc'; expected 'http/protobuf';"
            " no traces are exported",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4318"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL; expected http://HOST:4318;"
            " no traces are exported",
        ),
        (
            {ENDPOINT: "token@host:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:4318;"
            " nothing is exported by it",
        ),
        (
            {ENDPOINT: "http://host:port"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:4318;"
            " nothing is exported by it",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_ends_because_of_it(
    environ: Mapping[str, str], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with telemetry("x", "1.0.0", environ):
        pass

    [record] = caplog.records
    assert record.getMessage() == f"no_telemetry: {problem}"
    assert record.levelno == logging.WARNING


def test_what_is_wrong_with_a_variable_of_both_signals_is_said_once() -> None:
    of_both = {ENDPOINT: "localhost:4318"}
    of_one = {**HERE, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}

    assert len(problems("traces", of_both)) == 1
    assert problems("metrics", of_both) == []
    assert problems("traces", of_one) == []
    assert problems("metrics", of_one) == [
        "no_telemetry: OTEL_EXPORTER_OTLP_METRICS_PROTOCOL='grpc'; expected 'http/protobuf';"
        " no metrics are exported"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer hunter2", "; expected NAME=VALUE,NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,hunter2", "; expected NAME=VALUE,NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/ca.pem", "='/no/ca.pem'; expected a file that is"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "='zstd'; expected one of none, gzip, deflate"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "='10s'; expected a number of seconds"),
        ("OTEL_BSP_SCHEDULE_DELAY", "abc", "='abc'; expected a whole number above 0"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidrati", "='parentbased_traceidrati'; expected "),
    ],
)
def test_a_variable_that_the_sdk_would_ignore_in_silence_is_named(
    variable: str, value: str, line: str
) -> None:
    [found] = problems("traces", {**HERE, variable: value})

    assert found.startswith(f"otel_variable_unusable: {variable}{line}")
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("name", "share", "is_named"),
    [
        ("", "", False),
        ("parentbased_traceidrati", "0.5", False),
        ("traceidratio", "ten", False),
        ("traceidratio", "1.5", False),
        ("traceidratio", "0.5", True),
        ("ALWAYS_ON", "ten", True),
    ],
)
def test_a_sampler_that_is_none_leaves_a_plugin_its_gate(
    name: str, share: str, is_named: bool
) -> None:
    environ = {**HERE, "OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share}

    assert names_sampler(environ) == is_named
    assert bool(problems("traces", environ)) == (bool(name) and not is_named)


@pytest.mark.parametrize(
    ("queue", "batch", "size"),
    [("", "", 512), ("10", "", 10), ("", "9999", 2048), ("100", "20", 20), ("no", "", None)],
)
def test_a_post_holds_no_more_than_the_queue(queue: str, batch: str, size: int | None) -> None:
    environ = {"OTEL_BSP_MAX_QUEUE_SIZE": queue, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": batch}

    assert batch_size(environ) == size


def test_good_variables_are_no_problem(tmp_path: Path) -> None:
    environ = {
        **HERE,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic aGk6aG8=, x-scope = a%20b,",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path),
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    }

    assert problems("traces", environ) == problems("metrics", environ) == []


def test_without_a_variable_nothing_is_set_up_and_no_thread_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = threading.active_count()

    with telemetry("x", "1.0.0", {}):
        assert threading.active_count() == before
        assert dispatch_tracing() is None

    assert caplog.records == []


def test_where_the_sdk_is_missing_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "hookbus.otel.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with telemetry("x", "1.0.0", HERE):
        pass

    [record] = caplog.records
    assert "cannot be exported to http://127.0.0.1:4318" in record.getMessage()
    assert "pip install 'hookbus[otel]'" in record.getMessage()


def test_a_variable_that_the_sdk_cannot_use_stops_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")

    with telemetry("x", "1.0.0", {**HERE, "OTEL_BSP_SCHEDULE_DELAY": "0"}):
        assert dispatch_tracing() is None

    named, told = [record.getMessage() for record in caplog.records]
    assert named.startswith("otel_variable_unusable: OTEL_BSP_SCHEDULE_DELAY='0'; expected")
    assert told.startswith("no_telemetry: traces are not exported")


def test_a_variable_that_the_sdk_reads_at_its_import_stops_nothing() -> None:
    code = "from hookbus.otel.setup import telemetry\nwith telemetry('x', '1'): print('serves')"
    environ = {**os.environ, **HERE, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-3"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "serves\n")
    [line] = done.stderr.splitlines()
    assert line.startswith("no_telemetry: traces are not exported: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")


@pytest.mark.parametrize(
    ("environ", "service"),
    [({}, "guard"), ({"OTEL_SERVICE_NAME": "mine"}, "mine")],
)
def test_a_process_is_called_as_the_variables_say_or_by_its_own_name(
    environ: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = resource_of("guard", "1.2.0", environ).attributes

    assert (found["service.name"], found["service.version"]) == (service, "1.2.0")


def test_an_end_waits_for_who_gives_up_when_told_and_for_nobody_else() -> None:
    told, never = threading.Event(), threading.Event()

    assert end(lambda: None, lambda: None, grace=0.0)
    assert end(told.set, lambda: told.wait(30), grace=0.0)
    assert not end(lambda: None, lambda: never.wait(30), grace=0.0, give_up=0.0)
    assert end(lambda: 1 / 0, lambda: 1 / 0, grace=0.0)
    never.set()


class Refusing(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.FAILURE


def test_the_first_batch_that_no_collector_takes_is_one_line_that_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    posts = Posts()
    posts.failure = "it answers 404 for /v1/traces/v1/traces"
    counted = Counted(Refusing(), "http://127.0.0.1:4318", posts)

    for _ in range(3):
        counted.export([])

    [line] = caplog.records
    assert line.getMessage() == (
        "spans_not_exported: the collector at http://127.0.0.1:4318 takes none;"
        " it answers 404 for /v1/traces/v1/traces"
    )


def test_a_batch_that_fails_at_the_end_is_said_with_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = Counted(Refusing(), "http://127.0.0.1:4318", Posts())
    counted.is_ending = True

    counted.export([])

    assert caplog.records == []


def test_where_nobody_answers_a_line_asks_whether_anybody_listens() -> None:
    assert reason("") == "does it listen there?"
    assert reason("", "ConnectionError for /v1/traces", "ConnectionError for /v1/traces") == (
        "ConnectionError for /v1/traces; does it listen there?"
    )


def test_all_signals_end_at_once() -> None:
    both = threading.Barrier(2)
    losses = Losses()

    def stop() -> None:
        both.wait(10)

    losses.ask(stop)
    losses.ask(stop)
    losses.tell()

    assert not both.broken


def test_what_is_lost_is_one_line_with_each_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    losses, here = Losses(), "http://127.0.0.1:4318"
    losses.ask(lambda: Lost("1 of 9 logs", here, "it answers 401 for /v1/traces"))
    losses.ask(lambda: Lost("2 of 2 spans", here, "it answers 401 for /v1/traces"))
    losses.ask(lambda: Lost("the last metrics", here, "it answers 401 for /v1/metrics"))
    losses.ask(lambda: None)

    losses.tell()

    [line] = caplog.records
    assert line.getMessage() == (
        "telemetry_lost: the last metrics and 2 of 2 spans and 1 of 9 logs did not reach the"
        " collector at http://127.0.0.1:4318; it answers 401 for /v1/metrics;"
        " it answers 401 for /v1/traces"
    )


def test_a_plugin_whose_sampler_is_misspelt_keeps_its_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"OTEL_TRACES_SAMPLER": "traceidrati", "OTEL_BSP_MAX_QUEUE_SIZE": "10"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made: list[TracerProvider] = []
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setattr(trace, "set_tracer_provider", made.append)

    stop = traces.start(OTLP, "guard", "1.0.0", {**HERE, **variables})
    tracer = made[0].get_tracer("t")
    sampled = sum(tracer.start_span("x").is_recording() for _ in range(200))

    assert sampled < 100
    assert stop is not None
    stop()
