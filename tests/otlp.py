"""A collector in this process: what is exported to it by OTLP over HTTP, protobuf or JSON."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.commands import PATIENCE

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


@dataclass(frozen=True)
class Span:
    """One exported span; ids in hexadecimal, times in nanoseconds since the epoch."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begins: int
    ends: int
    is_error: bool
    attributes: dict[str, Any] = field(hash=False)
    links: tuple[tuple[str, str], ...] = ()


class Collector:
    """Keeps what it is sent.

    Attributes:
        bodies: every request as ``(path, bytes)``, unzipped; metrics of another helper's, too.
    """

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose spans shall be here soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    @property
    def spans(self) -> list[Span]:
        """All so far, in the order in which they began."""
        sent = (body for path, body in list(self.bodies) if path == "/v1/traces")
        found = [span for body in sent for span in _spans(body)]
        return sorted(found, key=lambda span: span.begins)

    def named(self, *names: str) -> dict[str, Span]:
        """Wait until there is a span of each name; return the newest of each."""
        deadline = time.monotonic() + PATIENCE
        while True:
            spans = {span.name: span for span in self.spans}
            missing = set(names) - spans.keys()
            if not missing:
                return {name: spans[name] for name in names}
            assert time.monotonic() < deadline, f"no span {missing}; there are {sorted(spans)}"
            time.sleep(0.02)


@contextmanager
def silent() -> Iterator[str]:
    """Yield the URL of a collector that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _spans(body: bytes) -> Iterator[Span]:
    if body.startswith(b"{"):
        yield from _of_json(json.loads(body))
        return
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Span(
                service,
                span.name,
                KINDS[span.kind],
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code == 2,
                _attributes(span.attributes),
                tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in pairs}


def _of_json(request: Any) -> Iterator[Span]:
    for resource in request["resourceSpans"]:
        service = _plain(resource["resource"]["attributes"])["service.name"]
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            yield Span(
                service,
                span["name"],
                KINDS[span["kind"]],
                span["traceId"],
                span["spanId"],
                span.get("parentSpanId", ""),
                int(span["startTimeUnixNano"]),
                int(span["endTimeUnixNano"]),
                span.get("status", {}).get("code") == 2,
                _plain(span["attributes"]),
            )


def _plain(pairs: Any) -> dict[str, Any]:
    """JSON writes 64-bit integers as texts."""
    found = {}
    for pair in pairs:
        [(kind, value)] = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found
