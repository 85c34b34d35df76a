"""/healthz says whether the process serves, /readyz whether it can do its work now.

A liveness probe that failed while the broker is away would end processes that are well, and all at
the same time.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker
from tests.integration.commands import HOOKBUS, Process, eventually, get, running
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
