"""A real role that pushes its metrics: to a collector, to a dead one, and to a silent one."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tests.integration.commands import eventually, get, running
from tests.integration.test_server_roles import health_url, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")

LONGEST = 3.0  # seconds from SIGTERM to the end, whatever the collector does
NOWHERE = "nats://127.0.0.1:1"


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportMetricsServiceRequest]]]:
    """Where metrics can be sent to, and what was sent."""
    got: list[ExportMetricsServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/metrics":
                got.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_role_pushes_what_it_serves_and_its_last_numbers_when_it_ends(tmp_path: Path) -> None:
    with collector() as (url, got):
        environ = {
            "HOOKBUS_NATS_URL": NOWHERE,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        with running(serve("dispatcher"), tmp_path, **environ) as process:
            eventually(lambda: len(got) >= 2)
            assert process.stop() == 0

    [resource] = got[-1].resource_metrics
    said = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert said["service.name"] == "hookbus-dispatcher"
    names = {metric.name for metric in resource.scope_metrics[0].metrics}
    assert {"hookbus_build_info", "hookbus_connected", "hookbus_tasks"} <= names


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_a_collector_that_is_no_help_is_one_line_and_delays_no_end(
    kind: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if kind == "dead":
            listener.close()
        environ = {
            "HOOKBUS_NATS_URL": NOWHERE,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
        }
        with running(serve("dispatcher"), tmp_path, **environ) as process:
            url = health_url(process)
            eventually(lambda: get(f"{url}/healthz")[0] == 200, OSError)
            began = time.monotonic()
            assert process.stop() == 0
            took = time.monotonic() - began

    assert took < LONGEST
    lines = process.errors.read_text().splitlines()
    said = [line for line in lines if "metrics_not_exported" in line or "telemetry_lost" in line]
    assert len(said) == 1
