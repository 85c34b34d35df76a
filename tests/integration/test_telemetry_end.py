"""Whatever its collector does, a process of ours ends within three seconds, with one line."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.models import Decision
from tests.integration.commands import HOOKBUS, Process, control, eventually, running, wait_served
from tests.otlp import silent

pytestmark = pytest.mark.usefixtures("nats_server_program")

LIMIT = 3.0  # seconds
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GUARD = """
from hookbus import Plugin

plugin = Plugin("guard", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def judge(event):
    pass

plugin.run()
"""


@pytest.fixture(params=["dead", "silent"])
def collector(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a collector that is not there, or that takes all and answers nothing."""
    if request.param == "silent":
        with silent() as url:
            yield url
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


def is_dead(url: str) -> bool:
    """Nobody takes connections there."""
    _, _, port = url.rpartition(":")
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", int(port))) != 0


def emit(url: str) -> Decision:
    async def emit() -> Decision:
        async with Emitter.connect(url, source="/test") as bus:
            return await bus.emit("message_received", {"text": "hi"}, traceparent=TRACEPARENT)

    return asyncio.run(emit())


def ended(process: Process) -> float:
    """Send SIGTERM; return the seconds until it had ended, in order."""
    started = time.monotonic()
    assert process.stop(signal.SIGTERM) == 0
    return time.monotonic() - started


def test_roles_and_plugins_end_in_time_and_say_in_one_line_what_is_lost(
    own_broker: EmbeddedBroker, collector: str, tmp_path: Path
) -> None:
    script = tmp_path / "guard.py"
    script.write_text(GUARD)
    environ = {
        "HOOKBUS_NATS_URL": own_broker.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # a batch that failed earlier has a line of its own
    }
    commands = {
        "registry": [*HOOKBUS, "serve", "registry", "--default-mode", "development"],
        "dispatcher": [*HOOKBUS, "serve", "dispatcher"],
    }
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                running([*command, "--http", "127.0.0.1:0"], tmp_path, **environ)
            )
            for name, command in commands.items()
        }
        eventually(lambda: control(own_broker.url, "list"), Exception)
        guard = [sys.executable, str(script)]
        processes["guard"] = stack.enter_context(running(guard, tmp_path, **environ))
        eventually(lambda: control(own_broker.url, "list")["plugins"])
        wait_served(own_broker.url)
        decision = emit(own_broker.url)

        with ThreadPoolExecutor() as pool:
            leaving = [processes[name] for name in ("guard", "dispatcher")]
            took = [*pool.map(ended, leaving), ended(processes["registry"])]

    assert [record.verdict for record in decision.records] == ["continue"]
    assert max(took) < LIMIT, took
    lost = {
        "guard": "1 of 1 spans",
        "dispatcher": "the last metrics and 2 of 2 spans",
        "registry": "the last metrics",
    }
    for name, what in lost.items():
        lines = processes[name].errors.read_text().splitlines()
        told = [line for line in lines if "collector" in line or "opentelemetry" in line]
        assert len(told) == 1, lines
        assert f"telemetry_lost: {what} did not reach the collector" in told[0]
        assert collector in told[0]
        assert "does it listen there?" in told[0]
        assert ("ConnectionError for /v1/" in told[0]) == is_dead(collector)
