"""The standard variables: what is exported, and what is said where it cannot be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest

from hookbus.otel.ending import end
from hookbus.otel.environment import Wanted, wanted
from hookbus.otel.resource import resource_of
from hookbus.otel.setup import dispatch_tracing, telemetry

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
            "OTEL_TRACES_EXPORTER='zipkin'; expected one of otlp, console, none",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='grpc'; expected 'http/protobuf'",
        ),
        (
            {ENDPOINT: "token@host:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:4318",
        ),
        (
            {ENDPOINT: "http://host:port"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:4318",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_ends_because_of_it(
    environ: Mapping[str, str], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with telemetry("x", "1.0.0", environ):
        pass

    [record] = caplog.records
    assert record.getMessage() == f"no_telemetry: {problem}; no traces are exported"
    assert record.levelno == logging.WARNING


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
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")

    with telemetry("x", "1.0.0", HERE):
        assert dispatch_tracing() is None

    [record] = caplog.records
    assert record.getMessage().startswith("no_telemetry: traces are not exported")


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
