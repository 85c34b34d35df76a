"""/healthz says whether the process serves, /readyz whether it can do its work now.

A liveness probe that failed while the broker is away would end processes that are well, and all at
the same time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.server.connections import MAX_CONNECTIONS
from tests.integration.commands import HOOKBUS, PATIENCE, Process, eventually, get, running
from tests.integration.test_server_roles import health_url

pytestmark = pytest.mark.usefixtures("nats_server_program")

ROLES = ["registry", "dispatcher"]
FAR = "nats://127.0.0.1:1"


def serve(role: str) -> list[str]:
    return [*HOOKBUS, "serve", role, "--http", "127.0.0.1:0"]


def health(process: Process) -> tuple[int, int]:
    """The statuses of /healthz and /readyz."""
    url = health_url(process)
    return get(f"{url}/healthz")[0], get(f"{url}/readyz")[0]


def until(alive: int, ready: int, *processes: Process) -> None:
    wanted = [(alive, ready)] * len(processes)
    eventually(lambda: [health(process) for process in processes] == wanted)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_waits_for_its_broker_is_alive_and_not_ready(role: str, tmp_path: Path) -> None:
    with running(serve(role), tmp_path, HOOKBUS_NATS_URL=FAR) as process:
        assert health(process) == (200, 503)
        _, body = get(f"{health_url(process)}/readyz")

    assert (body["role"], body["connected"], body["ready"]) == (role, False, False)


def test_roles_stay_alive_while_the_broker_is_away_and_are_ready_when_it_is_back(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = tmp_path / "production.toml"
    settings.write_text('mode = "production"\n')
    environ = {"HOOKBUS_NATS_URL": own_broker.url}
    with (
        running([*serve("registry"), "--settings", str(settings)], tmp_path, **environ) as registry,
        running(serve("dispatcher"), tmp_path, **environ) as dispatcher,
    ):
        until(200, 200, registry, dispatcher)

        os.kill(own_broker.pid, signal.SIGKILL)
        until(200, 503, registry, dispatcher)

        own_broker.restart()
        until(200, 200, registry, dispatcher)


@contextlib.contextmanager
def connected(url: str, say: bytes) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), PATIENCE) as client:
        client.sendall(say)
        yield client


def heard(client: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_who_floods_the_port_of_a_role_gets_little_of_it(tmp_path: Path) -> None:
    with running(serve("dispatcher"), tmp_path, HOOKBUS_NATS_URL=FAR) as process:
        url = health_url(process)
        with contextlib.ExitStack() as clients:
            half = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
            held = [clients.enter_context(connected(url, half)) for _ in range(3 * MAX_CONNECTIONS)]
            assert health(process) == (200, 503)
            left = [is_open(client) for client in held]
            assert left == sorted(left), "the oldest go first"
            assert 0 < sum(left) <= MAX_CONNECTIONS
        many = 50 * (half + b"\r\n")
        with connected(url, many) as client:
            assert heard(client).count(b"HTTP/1.1 200") == 1
        said = len(process.errors.read_text().splitlines())
        for _ in range(20):
            with connected(url, b"\0\r\n\r\n") as client:
                assert heard(client).startswith(b"HTTP/1.1 400")
        assert len(process.errors.read_text().splitlines()) == said, "a line for each"
