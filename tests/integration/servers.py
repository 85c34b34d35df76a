"""Servers for tests of what people do wrong: nats-server with a configuration, and others."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hookbus.broker import find_nats_server
from hookbus.processes import spawn
from tests.integration.commands import eventually
from tests.integration.worlds import free_port


@contextmanager
def nats_server(folder: Path, config: str) -> Iterator[int]:
    """Run nats-server on a free port with *config*, whose ``{folder}`` is replaced."""
    port = free_port()
    file = folder / f"nats-{port}.conf"
    file.write_text(f'host: "127.0.0.1"\nport: {port}\n{config.replace("{folder}", str(folder))}')
    child = spawn([find_nats_server(), "-c", file])
    try:
        eventually(lambda: _listens(port), OSError)
        yield port
    finally:
        child.terminate(10.0)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


@contextmanager
def greeter(greeting: bytes) -> Iterator[int]:
    """Listen, say *greeting* to everybody, and answer pings."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, greeting), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def info(**members: object) -> bytes:
    """A NATS server's first line."""
    said = {"server_id": "x", "version": "2.15.1", "max_payload": 1_048_576, "headers": True}
    return b"INFO " + json.dumps({**said, **members}).encode() + b"\r\n"


def _serve(listener: socket.socket, greeting: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_talk, args=(connection, greeting), daemon=True).start()


def _talk(connection: socket.socket, greeting: bytes) -> None:
    with connection, contextlib.suppress(OSError):
        connection.sendall(greeting)
        for line in connection.makefile("rb"):
            if greeting.startswith(b"INFO") and line.startswith(b"PING"):
                connection.sendall(b"PONG\r\n")
