"""Dispatchers come and go under load, and no request is lost or decided twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.emitter import Emitter
from hookbus.models import HookEvent, Verdict
from hookbus.plugin import Plugin, PluginServer
from hookbus.presence import ask
from hookbus.transport import Message, NatsTransport
from tests.integration.commands import HOOKBUS, PATIENCE, Process, running

STOPS = 8
RATE = 250  # requests per second
REQUESTS = 3_000  # at least, and as many as it takes until the last stop

plugin = Plugin("looker", version="1.0.0")


@plugin.hook("message_received", phase="validate", timeout_ms=2_000)
async def look(event: HookEvent[object]) -> Verdict | None:
    await asyncio.sleep(0.005)  # so that a stop always finds events that are being decided
    return None


def _role(stack: ExitStack, folder: Path, url: str, *words: str) -> Process:
    command = [*HOOKBUS, "serve", *words, "--http", "127.0.0.1:0"]
    return stack.enter_context(running(command, folder, HOOKBUS_NATS_URL=url))


async def _dispatchers(transport: NatsTransport) -> list[str]:
    """The instances that are there and have a configuration."""
    answers = await ask(transport, "STATS", "hookbus-dispatcher", window=0.05)
    return [a["id"] for a in answers if a["endpoints"][0]["data"]["generation"] > 0]


async def _until_there(transport: NatsTransport, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(await _dispatchers(transport)) != count:
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("nats_server_program")
def test_eight_rolling_stops_lose_no_request_and_decide_none_twice(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = tmp_path / "hookbus.toml"
    settings.write_text('mode = "development"\nmax_in_flight = 4000\n')
    with ExitStack() as stack:
        _role(stack, tmp_path, own_broker.url, "registry", "--settings", str(settings))
        sent, decided = asyncio.run(_roll(stack, tmp_path, own_broker.url))

    assert len(sent) >= 3_000
    assert decided == Counter(sent)


async def _roll(stack: ExitStack, folder: Path, url: str) -> tuple[list[str], Counter[str]]:
    """Return the ids of the events that were sent, and how often each was decided and recorded."""
    transport = await NatsTransport.connect(url)
    recorded: Counter[str] = Counter()

    def on_record(message: Message) -> None:
        recorded[msgspec.json.decode(message.data)["event"]["id"]] += 1

    await transport.subscribe("hookbus.decision.>", on_record)
    await transport.flush()
    plugin_transport = await NatsTransport.connect(url, principal="looker")
    server = PluginServer(plugin, plugin_transport)
    await server.start()
    await server.announced()
    serving = [_role(stack, folder, url, "dispatcher") for _ in range(2)]
    await _until_there(transport, 2)
    async with Emitter.connect(url, source="/load", timeout=10.0) as bus:
        stopped = asyncio.Event()
        load = asyncio.create_task(_load(bus, stopped))
        for _ in range(STOPS):
            leaving = serving.pop(0)
            leaving.send(15)
            assert await asyncio.to_thread(leaving.wait) == 0
            serving.append(_role(stack, folder, url, "dispatcher"))
            await _until_there(transport, 2)
        stopped.set()
        sent = await load
    await server.stop()
    await plugin_transport.close()
    await transport.close()
    return sent, recorded


async def _load(bus: Emitter, stopped: asyncio.Event) -> list[str]:
    """Fire at a steady rate; every emit must come back decided, as its own event."""

    async def one(number: int) -> str:
        identity = f"event-{number}"
        decision = await bus.emit("message_received", {"text": "hi"}, id=identity)
        assert decision.event.id == identity
        return identity

    started = asyncio.get_running_loop().time()
    emits = []
    for number in itertools.count():
        if stopped.is_set() and number >= REQUESTS:
            break
        await asyncio.sleep(started + number / RATE - asyncio.get_running_loop().time())
        emits.append(asyncio.create_task(one(number)))
    return list(await asyncio.gather(*emits))
