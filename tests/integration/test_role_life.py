"""A role's life: any order of starts, two at the same instant, a broker that goes and comes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.config.connection import Connection
from hookbus.config.settings import parse_settings
from hookbus.emitter import Emitter
from hookbus.errors import Unavailable
from hookbus.models import Decision
from hookbus.registry.settings_changes import Source
from hookbus.server.registry import RegistryServer
from hookbus.streams import NatsStreams
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, PATIENCE, Process, eventually, running
from tests.integration.test_server_roles import is_ready

pytestmark = pytest.mark.usefixtures("nats_server_program")

SETTINGS = """
mode = "production"
[plugins.judge.hooks.message-received]
type = "message_received"
phase = "validate"
timeout_ms = 5000
"""
JUDGE = """
from hookbus import Block, Plugin

plugin = Plugin("judge", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=5000)
async def look(event):
    return Block("it is bad", "bad") if "bad" in event.data["text"] else None

plugin.run()
"""
BACK = 2.0  # seconds after the broker's return


class Parts:
    """What a bus is made of, started by name in any order."""

    def __init__(self, stack: ExitStack, folder: Path, url: str) -> None:
        self._stack = stack
        self._folder = folder
        self._url = url
        (folder / "hookbus.production.toml").write_text(SETTINGS)
        (folder / "judge.py").write_text(JUDGE)

    def start(self, name: str) -> Process:
        serve = [*HOOKBUS, "serve", name, "--http", "127.0.0.1:0"]
        commands = {
            "registry": [*serve, "--settings", str(self._folder / "hookbus.production.toml")],
            "dispatcher": serve,
            "plugin": [sys.executable, str(self._folder / "judge.py")],
        }
        process = running(commands[name], self._folder, HOOKBUS_NATS_URL=self._url)
        return self._stack.enter_context(process)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def until_said(process: Process, words: str) -> None:
    eventually(lambda: words in process.errors.read_text())


def until_ready(roles: list[Process]) -> None:
    for role in roles:
        eventually(partial(is_ready, role))


def until_not_ready(role: Process) -> None:
    eventually(lambda: not is_ready(role))


def emit(url: str, text: str) -> Decision:
    async def once() -> Decision:
        async with Emitter.connect(url, source="/test", timeout=5.0) as bus:
            return await bus.emit("message_received", {"text": text})

    return asyncio.run(once())


def is_blocked(url: str) -> Callable[[], bool]:
    """Whether the plugin's own verdict comes back."""

    def is_so() -> bool:
        decision = emit(url, "bad")
        assert decision.outcome == "block"  # whatever is missing, it must not pass
        return decision.code == "bad"

    return is_so


@pytest.mark.parametrize(
    "order", [("plugin", "dispatcher", "registry"), ("registry", "plugin", "dispatcher")]
)
def test_whatever_starts_before_the_broker_is_a_bus_once_that_is_there(
    order: tuple[str, ...], stack: ExitStack, tmp_path: Path
) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path / "data") as broker:
        url, port = broker.url, broker.port
    parts = Parts(stack, tmp_path, url)
    started = [parts.start(name) for name in order]
    for process in started:
        until_said(process, "no connection to")

    with EmbeddedBroker.start(data_dir=tmp_path / "data", port=port):
        assert eventually(is_blocked(url), Unavailable)

    assert not [p for p in started if "Traceback" in p.errors.read_text()]


def test_a_dispatcher_and_a_plugin_that_start_before_the_registry_wait_for_it(
    own_broker: EmbeddedBroker, stack: ExitStack, tmp_path: Path
) -> None:
    parts = Parts(stack, tmp_path, own_broker.url)
    plugin, dispatcher = parts.start("plugin"), parts.start("dispatcher")
    until_said(dispatcher, "no_configuration_yet")
    eventually(lambda: emit(own_broker.url, "good").code == "not_ready", Unavailable)

    parts.start("registry")

    assert eventually(is_blocked(own_broker.url))
    until_said(plugin, "judge 1.0.0 is bound")


def test_two_of_each_role_that_start_at_the_same_instant_agree_on_one_generation(
    own_broker: EmbeddedBroker, stack: ExitStack, tmp_path: Path
) -> None:
    parts = Parts(stack, tmp_path, own_broker.url)
    roles = [parts.start(name) for name in ("registry", "dispatcher") * 2]

    until_ready(roles)

    logs = [role.errors.read_text() for role in roles]
    registries, dispatchers = logs[::2], logs[1::2]
    assert [len(re.findall(r"generation \d+: 1 bindings", log)) for log in dispatchers] == [1, 1]
    assert len(re.findall(r"generation \d+: 1 bindings", "".join(registries))) == 1
    assert not re.search(r"\b(error|warning)\b|Traceback", "".join(registries))


def test_registries_that_make_streams_and_buckets_at_once_all_succeed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = parse_settings({"mode": "production"}, "the test")

    async def start_together(url: str) -> set[bool]:
        transports = [await NatsTransport.connect(url, principal="registry") for _ in range(4)]
        registries = [
            RegistryServer(Source(settings), None, Connection(nats_url=url)) for _ in transports
        ]
        try:
            starting = zip(registries, transports, strict=True)
            await asyncio.gather(*(registry.start(t) for registry, t in starting))
            return {registry.is_ready for registry in registries}
        finally:
            for registry, transport in zip(registries, transports, strict=True):
                await registry.stop()
                await transport.close()

    for _ in range(3):
        with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("empty")) as broker:
            assert asyncio.run(start_together(broker.url)) == {True}


def test_a_stream_that_somebody_deleted_is_made_again(
    own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookbus.server.registry.LOOK_FOR_STREAMS", 0.05)
    settings = parse_settings({"mode": "production"}, "the test")

    async def until_it_is_back() -> None:
        transport = await NatsTransport.connect(own_broker.url, principal="registry")
        registry = RegistryServer(Source(settings), None, Connection(nats_url=own_broker.url))
        streams = NatsStreams(transport)
        await registry.start(transport)
        try:
            for name in (subjects.DECISIONS_STREAM, subjects.OBSERVE_STREAM):
                await transport.jetstream.delete_stream(name)
                async with asyncio.timeout(PATIENCE):
                    while not await streams.is_there(name):
                        await asyncio.sleep(0.01)
        finally:
            await registry.stop()
            await transport.close()

    asyncio.run(until_it_is_back())


def test_after_a_kill_of_the_broker_all_is_as_before_within_two_seconds_of_its_return(
    own_broker: EmbeddedBroker, stack: ExitStack, tmp_path: Path
) -> None:
    url = own_broker.url
    parts = Parts(stack, tmp_path, url)
    *roles, plugin = [parts.start(name) for name in ("registry", "dispatcher", "plugin")]
    bound = eventually(lambda: re.search(r"bound: .*generation (\d+)", plugin.errors.read_text()))
    before = int(bound[1]) if bound else 0
    eventually(lambda: emit(url, "good").generation == before, Unavailable)

    os.kill(own_broker.pid, signal.SIGKILL)
    for role in roles:
        until_not_ready(role)
    own_broker.restart()
    returned = time.monotonic()
    until_ready(roles)
    eventually(is_blocked(url), Unavailable)
    took = time.monotonic() - returned

    assert took < BACK
    assert emit(url, "good").generation == before
    assert not [r for r in roles if "Traceback" in r.errors.read_text()]
