"""Collectors of telemetry on loopback: one that takes everything, one that is dead, one silent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Collector(NamedTuple):
    url: str
    got: list[str]  # the paths of what was posted


@contextmanager
def healthy() -> Iterator[Collector]:
    """Answer each request at once, and take note of its path."""
    got: list[str] = []

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            got.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_port}", got)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dead() -> Iterator[Collector]:
    """Refuse every connection: the port is taken, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Collector(f"http://127.0.0.1:{held.getsockname()[1]}", [])


@contextmanager
def silent() -> Iterator[Collector]:
    """Let everybody connect and answer nobody: the kernel does that for who listens only."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listening:
        yield Collector(f"http://127.0.0.1:{listening.getsockname()[1]}", [])
