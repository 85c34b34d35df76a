"""docs/protocol.md as the tests read it, and a real bus to try its examples on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.config.settings import parse_settings
from hookbus.control import Control
from hookbus.dispatch.role import DispatcherRole
from hookbus.keyvalue import NatsKeyValue
from hookbus.message import Message
from hookbus.observers import ensure_streams, sync_consumers
from hookbus.registry import Registry
from hookbus.streams import NatsStreams
from hookbus.transport import NatsTransport

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
PATIENCE = 30.0  # seconds for a whole scenario
SOON = 10.0  # seconds for one answer

_BLOCK = re.compile(r"^```(\w+) ([\w-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """The page's text and its marked code blocks: three backquotes, a language and a label."""

    text: str
    blocks: Mapping[str, str]

    def values(self, label: str) -> list[Any]:
        """Every JSON value of one block, one after another."""
        decoder, text, found = json.JSONDecoder(), self.blocks[label].strip(), []
        while text:
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:].strip()
        return found

    def value(self, label: str) -> Any:
        """The only JSON value of one block."""
        [value] = self.values(label)
        return value

    def message(self, label: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a block that shows both, with an empty line between."""
        head, _, body = self.blocks[label].partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines())
        return headers, body.strip().encode()

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the first table whose head begins with *heading*, without the head."""
        table = self.text[self.text.index(f"| {heading} |") :].split("\n\n", 1)[0]
        return [[cell.strip() for cell in row.split(" | ")] for row in _ROW.findall(table)[1:]]


def read_page() -> Page:
    text = PAGE.read_text()
    blocks = [(label, body) for _, label, body in _BLOCK.findall(text)]
    assert len(dict(blocks)) == len(blocks), "two blocks have the same label"
    return Page(text, dict(blocks))


@pytest.fixture(scope="session")
def page() -> Page:
    return read_page()


class Bus:
    """A registry and a dispatcher on a broker, and *client*: bare NATS, as an outsider has it."""

    def __init__(self, url: str, client: Client, transport: NatsTransport) -> None:
        self.url = url
        self.client = client
        self.transport = transport

    async def request(
        self, subject: str, body: Any, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send a body, JSON values or bytes, and return the reply."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.request(subject, data, timeout=SOON, headers=headers)

    async def ask(self, subject: str, body: Any) -> Any:
        """Send a body and return the JSON of the reply."""
        return json.loads((await self.request(subject, body)).data)

    async def serve(self, answer: dict[str, Any]) -> None:
        """Return once the dispatcher uses the generation that *answer* names."""
        wait = {"v": 1, "generation": answer["generation"], "timeout_ms": 5000}
        served = await self.ask("hookbus.ctl.ops.wait_generation", wait)
        assert "error" not in served, served


Scenario = Callable[[Bus], Coroutine[Any, Any, T]]


class OnBus(Protocol):
    def __call__(self, scenario: Scenario[T]) -> T: ...


@pytest.fixture(scope="module")
def on_bus(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> OnBus:
    """Run one scenario on a bus of its own, in development mode."""

    def run(scenario: Scenario[T]) -> T:
        with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("nats")) as broker:
            return asyncio.run(_run(broker.url, scenario))

    return run


async def _run(url: str, scenario: Scenario[T]) -> T:
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        registry = await NatsTransport.connect(url, principal="registry")
        stack.push_async_callback(registry.close)
        await _start_registry(registry)
        transport = await NatsTransport.connect(url, principal="dispatcher")
        stack.push_async_callback(transport.close)
        dispatcher = DispatcherRole(
            transport,
            lambda: NatsKeyValue.open(transport, subjects.CONFIG_BUCKET, create=False),
            version="0.1.0",
        )
        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        client = await nats.connect(url)
        stack.push_async_callback(client.close)
        return await scenario(Bus(url, client, registry))


async def _start_registry(transport: NatsTransport) -> None:
    settings = parse_settings({"mode": "development"}, "the test")
    streams = NatsStreams(transport)
    registry = Registry(
        transport,
        await NatsKeyValue.open(transport, subjects.CONFIG_BUCKET),
        await NatsKeyValue.open(transport, subjects.STATE_BUCKET),
        settings,
    )
    control = Control(registry, transport)
    registry.on_bindings = lambda bindings: sync_consumers(streams, bindings)
    running: set[asyncio.Task[None]] = set()

    async def announce(message: Message) -> None:
        plugin = message.subject.split(".")[2]
        await transport.publish(message.reply, await registry.announce(plugin, message.data))

    async def operate(message: Message) -> None:
        _, _, principal, operation = message.subject.split(".")
        answer = await control.answer(principal, operation, message.data)
        await transport.publish(message.reply, answer)

    def in_a_task(
        answer: Callable[[Message], Coroutine[Any, Any, None]],
    ) -> Callable[[Message], None]:
        def on_message(message: Message) -> None:
            task = asyncio.ensure_future(answer(message))
            running.add(task)
            task.add_done_callback(running.discard)

        return on_message

    await ensure_streams(streams, settings)
    await registry.start()
    queue = subjects.REGISTRY_QUEUE
    await transport.subscribe(subjects.ANNOUNCE_ALL, in_a_task(announce), queue=queue)
    await transport.subscribe(subjects.CONTROL_ALL, in_a_task(operate), queue=queue)
    await transport.flush()
