"""A broker whose JetStream is off or full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import APIError

from hookbus.broker import find_nats_server
from hookbus.decision_log.reader import NatsStreamReader, Stored
from hookbus.emitter import Emitter
from hookbus.errors import ControlError, Unavailable
from hookbus.models import Decision
from hookbus.operations import request
from hookbus.processes import spawn
from hookbus.transport import NatsTransport
from hookbus.wire.decision import decode_decision
from tests.integration.commands import HOOKBUS, Process, eventually, get, running
from tests.integration.test_server_roles import health_url, is_ready
from tests.integration.worlds import SOON, free_port

pytestmark = pytest.mark.usefixtures("nats_server_program")

Broker = Callable[[str], str]
FILE = """
mode = "production"
[plugins.judge.hooks.look]
type = "message_received"
phase = "validate"
[streams.DECISIONS]
max_bytes = 65536
[streams.OBSERVE]
max_bytes = 65536
[streams.INPUTS]
max_bytes = 65536
[streams.DLQ]
max_bytes = 65536
"""


@pytest.fixture
def nats(nats_server_program: None, tmp_path: Path) -> Iterator[Broker]:
    """Start a nats-server with some lines of configuration; return its URL."""
    children = []

    def start(config: str) -> str:
        port = free_port()
        file = tmp_path / "nats.conf"
        file.write_text(f'host: "127.0.0.1"\nport: {port}\n{config}\n')
        children.append(spawn([find_nats_server(), "-c", file]))
        return f"nats://127.0.0.1:{port}"

    yield start
    for child in children:
        child.terminate(SOON)


def serve(role: str, folder: Path, url: str, *words: str) -> AbstractContextManager[Process]:
    command = [*HOOKBUS, "serve", role, "--http", "127.0.0.1:0", *words]
    return running(command, folder, HOOKBUS_NATS_URL=url)


def emit(url: str) -> Decision:
    async def once() -> Decision:
        async with Emitter.connect(url, source="/test", timeout=5.0) as bus:
            return await bus.emit("message_received", {"text": "hi"})

    return asyncio.run(once())


def control(url: str, operation: str, **members: Any) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            transport = await NatsTransport.connect(url, principal="ops")
            stack.push_async_callback(transport.close)
            return await request(transport, "ops", operation, **members)

    return asyncio.run(ask())


def test_without_jetstream_roles_are_not_ready_and_say_why_once(
    nats: Broker, tmp_path: Path
) -> None:
    url = nats("")
    settings = tmp_path / "production.toml"
    settings.write_text(FILE)
    with (
        serve("registry", tmp_path, url, "--settings", str(settings)) as registry,
        serve("dispatcher", tmp_path, url) as dispatcher,
    ):
        said = eventually(lambda: _lines(registry, "trying on"))
        eventually(lambda: "no_configuration_yet" in dispatcher.errors.read_text())
        decision = eventually(lambda: emit(url), Unavailable)
        statuses = [get(f"{health_url(role)}/readyz")[0] for role in (registry, dispatcher)]

    assert (decision.outcome, decision.cause, decision.code) == ("block", "config", "not_ready")
    assert statuses == [503, 503]
    assert len(said) == 1
    assert "Traceback" not in registry.errors.read_text()


@contextmanager
def small_bus(nats: Broker, folder: Path) -> Iterator[tuple[str, Process, Process]]:
    """A registry and a dispatcher over a JetStream with little room, both ready; and its URL."""
    store, settings = folder / "jetstream", folder / "production.toml"
    url = nats(f'jetstream {{ store_dir: "{store}", max_file_store: 1MB }}')
    settings.write_text(FILE)
    with (
        serve("registry", folder, url, "--settings", str(settings)) as registry,
        serve("dispatcher", folder, url) as dispatcher,
    ):
        eventually(lambda: is_ready(registry) and is_ready(dispatcher))
        yield url, registry, dispatcher


def test_a_full_jetstream_refuses_changes_and_events_are_decided_as_before(
    nats: Broker, tmp_path: Path
) -> None:
    with small_bus(nats, tmp_path) as (url, registry, _dispatcher):
        before = emit(url)
        asyncio.run(fill(url))
        with pytest.raises(ControlError) as refused:
            _change_again_and_again(url)
        after = emit(url)
        assert is_ready(registry)

    assert str(refused.value).startswith("bucket 'hookbus_state': insufficient resources")
    assert (after.by, after.code, after.generation) == ("judge", "no_responders", before.generation)


def test_records_wait_while_jetstream_is_full_and_all_are_stored_once_there_is_room(
    nats: Broker, tmp_path: Path
) -> None:
    with small_bus(nats, tmp_path) as (url, _registry, dispatcher):
        asyncio.run(fill(url))
        decisions = [emit(url) for _ in range(20)]
        waiting = eventually(lambda: _recording(dispatcher)["error"] and _recording(dispatcher))
        asyncio.run(empty(url))
        eventually(lambda: not _recording(dispatcher)["pending"])
        stored = asyncio.run(recorded(url))

    assert waiting["pending"] == 20
    assert "insufficient resources" in waiting["error"]
    assert sorted(stored) == sorted(decision.id for decision in decisions)


def _recording(dispatcher: Process) -> dict[str, Any]:
    """What a dispatcher's health says about the decisions' stream."""
    health = get(f"{health_url(dispatcher)}/healthz")[1]
    return dict(health["recording"]["HOOKBUS_DECISIONS"])


async def empty(url: str) -> None:
    """Give back what `fill` took."""
    transport = await NatsTransport.connect(url)
    try:
        await transport.jetstream.delete_stream("greedy")
    finally:
        await transport.close()


async def recorded(url: str) -> list[str]:
    """The ids of all decisions in the stream."""
    ids: list[str] = []

    def take(stored: Stored) -> bool:
        ids.append(decode_decision(stored.data).id)
        return False

    transport = await NatsTransport.connect(url)
    try:
        await NatsStreamReader(transport, "HOOKBUS_DECISIONS").read(1, take)
    finally:
        await transport.close()
    return ids


async def fill(url: str) -> None:
    """Take all the storage that is left."""
    transport = await NatsTransport.connect(url)
    try:
        await transport.jetstream.add_stream(name="greedy", subjects=["greedy.>"])
        with pytest.raises(APIError, match="insufficient resources"):
            await _publish_without_end(transport)
    finally:
        await transport.close()


async def _publish_without_end(transport: NatsTransport) -> None:
    while True:
        await transport.jetstream.publish("greedy.x", bytes(16_384))


def _change_again_and_again(url: str) -> None:
    """A change that is small may still find room."""
    for _ in range(100):
        control(url, "mode", plugin="judge", mode="enforce")


def _lines(process: Process, words: str) -> list[str]:
    return [line for line in process.errors.read_text().splitlines() if words in line]
