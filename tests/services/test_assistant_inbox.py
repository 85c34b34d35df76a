"""Letters to the assistant: they wait, come again while nobody can decide, and are all answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from tests.integration.commands import PATIENCE, Bus, Process, eventually, plugin, running, up
from tests.services.assistant import FASTSTREAM
from tests.services.test_assistant import ABSENT


@pytest.fixture(scope="module")
def inbox(bus: Bus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("inbox")
    with started(bus, folder) as process:
        yield process


def started(bus: Bus, folder: Path) -> Any:
    return running(FASTSTREAM, folder, HOOKBUS_NATS_URL=bus.url, ASSISTANT_NATS_URL=bus.url)


def is_ready(process: Process) -> bool:
    return "started successfully" in process.errors.read_text()


@asynccontextmanager
async def outbox(bus: Bus) -> AsyncIterator[tuple[Client, Subscription]]:
    client = await nats.connect(bus.url)
    try:
        yield client, await client.subscribe("assistant.outbox")
    finally:
        await client.close()


async def answer_to(bus: Bus, letter: bytes, **headers: str) -> dict[str, Any]:
    """Send a letter, and return the answer once it has the letter's number."""
    async with outbox(bus) as (client, answers):
        stored = await client.jetstream().publish("assistant.inbox", letter, headers=headers)
        answer: dict[str, Any] = json.loads((await answers.next_msg(timeout=PATIENCE)).data)
    assert answer["id"] == f"letter-{stored.seq}"
    return answer


@pytest.mark.parametrize(
    ("letter", "status", "text"),
    [
        (b'{"text": "I am bob@example.com"}', "answered", "You said: I am [redacted:email]"),
        (b'{"text": "read .env"}', "blocked", "This file may not be used by tools."),
        (b"no JSON, but private", "refused", "Invalid JSON: expected"),
        (b'{"text": ""}', "refused", "String should have at least 1 character"),
        (b'{"text": "private", "more": 1}', "refused", "Extra inputs are not permitted"),
    ],
)
def test_a_letter_is_answered(
    bus: Bus, inbox: Process, letter: bytes, status: str, text: str
) -> None:
    eventually(lambda: is_ready(inbox))

    answer = asyncio.run(answer_to(bus, letter))

    assert (answer["status"], answer["text"][: len(text)]) == (status, text)
    assert "private" not in inbox.errors.read_text()


def test_a_letter_carries_its_trace(bus: Bus, inbox: Process) -> None:
    eventually(lambda: is_ready(inbox))
    trace = "0af7651916cd43dd8448eb211c80319c"

    answer = asyncio.run(
        answer_to(bus, b'{"text": "hello"}', traceparent=f"00-{trace}-b7ad6b7169203331-01")
    )

    assert answer["trace_id"] == trace


def test_two_inboxes_share_the_letters(bus: Bus, inbox: Process, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with outbox(bus) as (client, answers):
            for n in range(20):
                letter = json.dumps({"text": f"what is {n} + 0"}).encode()
                await client.jetstream().publish("assistant.inbox", letter)
            found = [await answers.next_msg(timeout=PATIENCE) for _ in range(20)]
            with pytest.raises(nats.errors.TimeoutError):
                await answers.next_msg(timeout=0.01)
        return [json.loads(answer.data)["text"] for answer in found]

    with started(bus, tmp_path) as second:
        eventually(lambda: is_ready(inbox) and is_ready(second))
        answers = asyncio.run(scenario())

    assert sorted(map(int, answers)) == list(range(20))


def test_a_letter_that_nobody_can_decide_comes_again(
    bus: Bus, inbox: Process, tmp_path: Path
) -> None:
    eventually(lambda: is_ready(inbox))
    with plugin(bus, tmp_path, "away", ABSENT.replace("absent", "away")) as process:
        process.stop(9)

    async def scenario() -> dict[str, Any]:
        answer = asyncio.create_task(answer_to(bus, b'{"text": "what is 40 + 2"}'))
        while '"status":"undecided"' not in inbox.errors.read_text():
            await asyncio.sleep(0.01)
        bus.run("plugins", "remove", "away")
        return await answer

    answer = asyncio.run(asyncio.wait_for(scenario(), PATIENCE))

    assert (answer["status"], answer["text"]) == ("answered", "42")


def test_a_letter_waits_until_somebody_is_there(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("waiting")
    with up(folder, "--no-bundled") as bus:
        with started(bus, folder) as process:
            eventually(lambda: is_ready(process))

        async def scenario() -> dict[str, Any]:
            answer = asyncio.create_task(answer_to(bus, b'{"text": "what is 40 + 2"}'))
            with started(bus, folder):
                return await answer

        assert asyncio.run(scenario())["text"] == "42"
