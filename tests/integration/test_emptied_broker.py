"""A broker that comes back without what it had stored: nothing passes that nobody looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.errors import ConnectFailed, HookbusError, Unavailable
from hookbus.models import Decision
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, eventually, running

pytestmark = pytest.mark.usefixtures("nats_server_program")

SETTINGS: dict[str, Any] = {
    "mode": "production",
    "plugins": {"judge": {"hooks": {"look": {"type": "message_received", "phase": "validate"}}}},
}
FILE = """
mode = "production"
[plugins.judge.hooks.look]
type = "message_received"
phase = "validate"
"""
LOOKED = 25  # emits after the broker's return, over more than a second: the registry takes less


def emit(url: str) -> Decision:
    async def once() -> Decision:
        async with Emitter.connect(url, source="/test", timeout=5.0) as bus:
            return await bus.emit("message_received", {"text": "hi"})

    return asyncio.run(once())


def apply(url: str) -> None:
    async def ask() -> None:
        async with AsyncExitStack() as stack:
            transport = await NatsTransport.connect(url, principal="ops")
            stack.push_async_callback(transport.close)
            await request(transport, "ops", "apply", settings=SETTINGS)

    eventually(_done(lambda: asyncio.run(ask())), HookbusError)


def _done(do: Callable[[], None]) -> Callable[[], bool]:
    def done() -> bool:
        do()
        return True

    return done


@pytest.mark.parametrize("owner", ["file", "applied"])
def test_the_absent_plugin_still_blocks_after_the_broker_came_back_empty(
    owner: str, tmp_path: Path
) -> None:
    file = tmp_path / "production.toml"
    file.write_text(FILE)
    with EmbeddedBroker.start(data_dir=tmp_path / "first") as broker:
        url, port = broker.url, broker.port
        serve = [*HOOKBUS, "serve", "registry", "--http", "127.0.0.1:0"]
        words = ["--settings", str(file)] if owner == "file" else []
        dispatch = [*HOOKBUS, "serve", "dispatcher", "--http", "127.0.0.1:0"]
        with (
            running([*serve, *words], tmp_path, HOOKBUS_NATS_URL=url),
            running(dispatch, tmp_path, HOOKBUS_NATS_URL=url),
        ):
            if owner == "applied":
                apply(url)
            eventually(lambda: emit(url).by == "judge", Unavailable)
            broker.stop()
            with EmbeddedBroker.start(data_dir=tmp_path / "second", port=port):
                found = [_outcome(url) for _ in range(LOOKED)]

    assert set(found) <= {"unavailable", "block no_responders"}
    assert "block no_responders" in found


def _outcome(url: str) -> str:
    time.sleep(0.05)
    try:
        decision = emit(url)
    except (Unavailable, ConnectFailed):
        return "unavailable"
    return f"{decision.outcome} {decision.code}"
