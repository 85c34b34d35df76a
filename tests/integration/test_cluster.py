"""Three nats-servers: the setting `replicas`, and a dispatcher whose server is killed.

Under load, the leader of the decisions killed: python -m tests.long cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.errors import ControlError, Unavailable
from hookbus.operations import request
from hookbus.server.dispatcher import DispatcherServer
from hookbus.transport import NatsTransport
from tests.chaos.cluster import retried, until
from tests.chaos.nats_cluster import NatsCluster, all_copied, connected
from tests.integration.commands import HOOKBUS, control, eventually, running

SETTINGS: dict[str, Any] = {"mode": "production", "types": {"message_received": {}}}
IN_ORDER = {"dont_randomize": True}  # the first server of a URL is tried first


@pytest.fixture(scope="module")
def servers(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NatsCluster]:
    """Three servers and a registry."""
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        cluster = NatsCluster(stack, folder)
        stack.enter_context(registry(cluster.url(), folder))
        yield cluster


def registry(url: str, folder: Path) -> Any:
    command = [*HOOKBUS, "serve", "registry", "--http", "127.0.0.1:0"]
    return running(command, folder, HOOKBUS_NATS_URL=url)


async def apply(transport: NatsTransport, tree: dict[str, Any]) -> None:
    await retried(lambda: request(transport, "ops", "apply", settings=tree))


def test_replicas_copies_every_stream_and_bucket_and_unset_leaves_them(
    servers: NatsCluster,
) -> None:
    async def scenario() -> None:
        transport = await connected(servers)
        try:
            await apply(transport, SETTINGS)
            await until(lambda: all_copied(transport, 1))
            await apply(transport, {**SETTINGS, "replicas": 3})
            await until(lambda: all_copied(transport, 3))
            await apply(transport, SETTINGS)
            assert await all_copied(transport, 3)
        finally:
            await transport.close()

    asyncio.run(scenario())


def test_a_dispatcher_whose_server_is_killed_goes_on_at_another(servers: NatsCluster) -> None:
    async def scenario() -> list[str]:
        transport = await connected(servers)
        await apply(transport, {**SETTINGS, "replicas": 3})
        await transport.close()
        transport = await NatsTransport.connect(
            servers.url(0), principal="dispatcher", options=IN_ORDER
        )
        dispatcher = DispatcherServer()
        await dispatcher.start(transport)
        try:
            async with Emitter.connect(servers.url(1), source="/test", options=IN_ORDER) as bus:
                before = await retried(lambda: bus.emit("message_received", {"text": "hi"}))
                servers.kill(0)
                after = await _decided(bus)
        finally:
            await dispatcher.stop()
            await transport.close()
        return [before.outcome, after]

    assert asyncio.run(scenario()) == ["continue", "continue"]


async def _decided(bus: Emitter) -> str:
    """Emit until there is a decision: an emit that is on its way may be lost, and says so."""

    async def outcome() -> str:
        try:
            return (await bus.emit("message_received", {"text": "hi"})).outcome
        except Unavailable:
            return ""

    return str(await until(outcome, patience=5.0))


def test_more_replicas_than_servers_are_refused_with_the_next_step(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with registry(own_broker.url, tmp_path):
        eventually(lambda: control(own_broker.url, "list"), ControlError)

        with pytest.raises(ControlError) as refused:
            control(own_broker.url, "apply", settings={**SETTINGS, "replicas": 3})
        eventually(lambda: control(own_broker.url, "apply", settings=SETTINGS))

    assert "non-clustered" in str(refused.value)
    assert str(refused.value).endswith("or lower replicas in the settings")
