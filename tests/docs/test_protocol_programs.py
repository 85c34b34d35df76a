"""The programs of docs/protocol.md, run as processes of their own against a real bus."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from tests.docs.bus import SOON, Bus, OnBus
from tests.docs.page import NODE, Page, settled
from tests.docs.story import demand_node

HARMLESS = {"text": "hi"}
LEAK = {"text": "my key is sk-abc123", "user": "u1"}
PRIVATE = {"text": "-----BEGIN PRIVATE KEY-----"}


@pytest.fixture(params=["plugin.py", "bare.cjs"])
def plugin(request: pytest.FixtureRequest, page: Page, tmp_path: Path) -> list[str]:
    """The command that runs the page's plugin, or the same one without any library."""
    if request.param == "bare.cjs":
        demand_node("node")
        return ["node", str(NODE / "bare.cjs")]
    file = tmp_path / "plugin.py"
    file.write_text(page.blocks["plugin"])
    return [sys.executable, str(file)]


@pytest.fixture
def emitter(page: Page, tmp_path: Path) -> list[str]:
    """The command that runs the page's emitter."""
    file = tmp_path / "emitter.py"
    file.write_text(page.blocks["emitter"])
    return [sys.executable, str(file)]


@asynccontextmanager
async def started(command: list[str], url: str) -> AsyncIterator[Process]:
    environ = {**os.environ, "HOOKBUS_NATS_URL": url}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: Process) -> Any:
    """The JSON of the next line that a program prints."""
    assert process.stdout is not None
    async with asyncio.timeout(SOON):
        line = await process.stdout.readline()
    return json.loads(line)


async def emit(command: list[str], url: str, data: Any) -> Any:
    """Run the emitter once; return what it printed."""
    async with started([*command, "message_received", json.dumps(data)], url) as process:
        async with asyncio.timeout(SOON):
            out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        return json.loads(out)


def test_the_plugins_and_the_emitter_of_the_page_understand_each_other(
    on_bus: OnBus, plugin: list[str], emitter: list[str]
) -> None:
    async def scenario(bus: Bus) -> list[Any]:
        async with started(plugin, bus.url) as process:
            await bus.serve(await line_of(process))
            results = [await emit(emitter, bus.url, data) for data in (HARMLESS, LEAK, PRIVATE)]
            process.send_signal(signal.SIGTERM)
            await bus.serve(await line_of(process))
            async with asyncio.timeout(SOON):
                assert await process.wait() == 0
        return [*results, await emit(emitter, bus.url, PRIVATE)]

    harmless, leak, private, unbound = on_bus(scenario)

    clean = {"text": "my key is [redacted]", "user": "u1"}
    assert harmless == {"outcome": "continue", "data": HARMLESS}
    assert leak == {"outcome": "intercept", "data": clean}
    assert private == {"outcome": "block", "reason": "no-secrets: contains a private key"}
    assert unbound == {"outcome": "continue", "data": PRIVATE}


def test_the_plugins_of_the_page_fail_without_telling_why(on_bus: OnBus, plugin: list[str]) -> None:
    async def scenario(bus: Bus) -> Any:
        async with started(plugin, bus.url) as process:
            answer = await line_of(process)
            await bus.serve(answer)
            # a call that only a dispatcher could make, of an event that no schema has seen
            call = {"v": 1, "call": "c", "attempt": 1, "event": {"data": {"text": 5}}}
            inbox = "hookbus.reply.test.c.no-secrets"
            reply = await bus.client.subscribe(inbox)
            await bus.client.flush()
            await bus.client.publish(
                "hookbus.call.no-secrets.message-received", json.dumps(call).encode(), inbox
            )
            return json.loads((await reply.next_msg(SOON)).data)

    verdict = on_bus(scenario)

    assert verdict.pop("reason").startswith("judge")
    assert verdict == {
        "v": 1,
        "call": "c",
        "attempt": 1,
        "plugin": "no-secrets",
        "version": "1.0.0",
        "verdict": "error",
    }


def test_the_plugin_of_the_page_shows_up_as_a_service(
    on_bus: OnBus, page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(page.blocks["plugin"])

    async def scenario(bus: Bus) -> Any:
        async with started([sys.executable, str(file)], bus.url) as process:
            await line_of(process)
            return await bus.ask("$SRV.PING.no-secrets", b"")

    assert settled(on_bus(scenario)) == settled(page.value("ping"))


def test_the_emitter_of_the_page_tells_a_refusal_from_a_block(
    on_bus: OnBus, emitter: list[str]
) -> None:
    assert on_bus(lambda bus: emit(emitter, bus.url, {"text": 5})) == {
        "outcome": "refused",
        "code": "schema",
        "message": 'the value is not of type "string"',
        "pointer": "/data/text",
    }


def test_the_emitter_of_the_page_has_no_decision_when_nobody_answers(
    nats_broker: EmbeddedBroker, emitter: list[str]
) -> None:
    said = asyncio.run(emit(emitter, nats_broker.url, HARMLESS))

    assert said["outcome"] == "unavailable"
    assert "NoResponders" in said["reason"]
