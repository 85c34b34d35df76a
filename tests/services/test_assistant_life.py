"""The assistant begins before its bus, outlives it, and leaves in order."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.commands import children, eventually, plugin, up
from tests.services.assistant import Assistant, serving

SLOW = """
import asyncio
from pathlib import Path
from hookbus import Plugin
plugin = Plugin("slow", version="1.0.0")

@plugin.hook("response_generated", phase="validate", timeout_ms=900)
async def wait(event):
    Path("asked").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.01)

plugin.run()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def broker(assistant: Assistant) -> str:
    found: str = assistant.http.get("/healthz").json()["broker"]
    return found


def test_it_begins_without_a_broker_and_outlives_one(
    nats_server_program: None, tmp_path: Path
) -> None:
    port = free_port()
    with serving(tmp_path / "assistant", f"nats://127.0.0.1:{port}") as assistant:
        assert assistant.http.get("/healthz").json() == {
            "status": "ok",
            "broker": "unreachable",
            "on_unavailable": "block",
        }
        response = assistant.post("hello")
        assert (response.status_code, response.json()["status"]) == (503, "undecided")

        with up(tmp_path, "--no-bundled", "--port", str(port), "--http-port", "0") as bus:
            eventually(lambda: assistant.ask("hello")["status"] == "answered")
            assert broker(assistant) == "connected"

            for pid in [bus.process.pid, children(bus.process.pid)["broker"]]:
                os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            assert assistant.ask("hello")["status"] == "undecided"
            assert time.monotonic() - begun < 5
            eventually(lambda: broker(assistant) == "unreachable")

        assistant.process.stop(signal.SIGTERM)
        assert "Application shutdown complete" in assistant.log()
        assert "Traceback" not in assistant.log()


def test_what_is_under_way_is_answered_before_it_leaves(
    nats_server_program: None, tmp_path: Path
) -> None:
    with (
        up(tmp_path, "--no-bundled") as bus,
        plugin(bus, tmp_path, "slow", SLOW),
        serving(tmp_path / "assistant", bus.url) as assistant,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(assistant.ask, "what is 1 + 1")
        eventually((tmp_path / "asked").exists)
        assistant.process.send(signal.SIGINT)
        eventually(lambda: "Shutting down" in assistant.log())
        (tmp_path / "go").touch()

        assert answer.result()["text"] == "2"
        assert assistant.process.wait() == 0
