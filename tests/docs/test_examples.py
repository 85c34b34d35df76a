"""The programs of docs/examples, each run as its first lines say."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from hookbus import Decision, SyncEmitter
from tests.integration.commands import PATIENCE, Bus, Process, eventually, plugin, running, up

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
PROGRAMS = sorted(FOLDER.glob("*.py"))
NOWHERE = "nats://127.0.0.1:1"
RULES = """
from hookbus import Block, HookEvent, Intercept, MessageReceived, Plugin, Verdict
plugin = Plugin("rules", version="1.0.0")

@plugin.hook("message_received", phase="mutate")
async def judge(event: HookEvent[MessageReceived]) -> Verdict | None:
    if "bad" in event.data.text:
        return Block("for operators", message="Not here.")
    if "out of order" in event.data.text:
        raise RuntimeError("this cannot be judged")
    return Intercept(merge={"text": event.data.text.replace("secret", "[…]")})

plugin.run()
"""
SETTINGS = """
mode = "development"
[types.message_received.schema.properties.text]
type = "string"
maxLength = 100
"""
SERVERS = {
    "fastapi_dependency": ["uvicorn", "fastapi_dependency:app", "--port", "0"],
    "flask_emitter": ["flask", "--app", "flask_emitter", "run", "--port", "0"],
}


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A bus whose only plugin is RULES."""
    folder = tmp_path_factory.mktemp("bus")
    (folder / "hookbus.toml").write_text(SETTINGS)
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "rules", RULES):
        yield bus


@contextmanager
def serving(name: str, folder: Path, url: str) -> Iterator[httpx.Client]:
    """Run an example that is a web server, in a folder of its own."""
    shutil.copy(FOLDER / f"{name}.py", folder)
    with running([sys.executable, "-m", *SERVERS[name]], folder, HOOKBUS_NATS_URL=url) as process:
        said = eventually(
            lambda: re.search(r"http://127[\d.]+:\d+", process.errors.read_text() or "")
        )
        with httpx.Client(base_url=said[0], timeout=PATIENCE, trust_env=False) as http:
            yield http


@pytest.fixture(scope="module", params=SERVERS)
def server(
    bus: Bus, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    with serving(request.param, tmp_path_factory.mktemp(request.param), bus.url) as http:
        yield http


def comment(http: httpx.Client, **body: Any) -> tuple[int, dict[str, Any]]:
    response = http.post("/comments", json=body)
    answer = response.json()
    return response.status_code, answer.get("detail", answer)


def test_every_example_is_short_and_listed() -> None:
    page = (FOLDER / "README.md").read_text()

    assert len(PROGRAMS) == 4
    for program in PROGRAMS:
        assert len(program.read_text().splitlines()) < 60
        assert f"[{program.name}]({program.name})" in page


def test_a_web_server_works_with_what_the_bus_let_through(server: httpx.Client) -> None:
    assert comment(server, text="a secret") == (200, {"kept": "a […]"})


def test_a_web_server_shows_message_and_reference_of_a_block(server: httpx.Client) -> None:
    status, answer = comment(server, text="bad")

    assert (status, answer["message"], sorted(answer)) == (
        403,
        "Not here.",
        ["message", "reference"],
    )
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["reference"])


def test_a_web_server_tells_that_nobody_could_decide(server: httpx.Client) -> None:
    status, answer = comment(server, text="out of order")

    assert (status, answer["message"]) == (503, None)


def test_a_web_server_refuses_what_the_bus_does_not_take(server: httpx.Client) -> None:
    status, answer = comment(server, text="x" * 101)

    assert (status, answer) == (422, {"message": "not accepted", "pointer": "/data/text"})


@pytest.mark.parametrize("name", SERVERS)
def test_a_web_server_begins_without_a_broker(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path, NOWHERE) as http:
        assert comment(http, text="hi")[0] == 503


@contextmanager
def letters(bus: Bus, folder: Path) -> Iterator[Process]:
    shutil.copy(FOLDER / "faststream_middleware.py", folder)
    command = [sys.executable, "-m", "faststream", "run", "faststream_middleware:app"]
    with running(command, folder, HOOKBUS_NATS_URL=bus.url, LETTERS_URL=bus.url) as process:
        eventually(lambda: "started successfully" in process.errors.read_text())
        yield process


def test_a_middleware_asks_about_each_message(bus: Bus, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        client = await nats.connect(bus.url)
        kept = await client.subscribe("kept")
        for text in ["one", "bad", "a secret"]:
            await client.jetstream().publish("letters", json.dumps({"text": text}).encode())
        await client.jetstream().publish("letters", b"no JSON")
        await client.jetstream().publish("letters", b'{"text": "last"}')
        found = [(await kept.next_msg(timeout=PATIENCE)).data.decode() for _ in range(3)]
        await client.close()
        return found

    with letters(bus, tmp_path):
        assert asyncio.run(scenario()) == ["one", "a […]", "last"]


def test_a_message_that_nobody_could_decide_comes_again(bus: Bus, tmp_path: Path) -> None:
    async def scenario() -> str:
        client = await nats.connect(bus.url)
        kept = await client.subscribe("kept")
        await client.jetstream().publish("letters", b'{"text": "out of order"}')
        consumer = client.jetstream()
        while (await consumer.consumer_info("LETTERS", "letters")).num_redelivered == 0:
            await asyncio.sleep(0.01)
        bus.run("plugins", "remove", "rules")
        text = (await kept.next_msg(timeout=PATIENCE)).data.decode()
        await client.close()
        return text

    try:
        with letters(bus, tmp_path):
            assert asyncio.run(asyncio.wait_for(scenario(), PATIENCE)) == "out of order"
    finally:
        bus.run("plugins", "approve", "rules")


@contextmanager
def quota(bus: Bus, folder: Path, replicas: int) -> Iterator[list[Process]]:
    """Run replicas of the quota plugin on one file, and end them."""
    shutil.copy(FOLDER / "quota_plugin.py", folder)
    command = [sys.executable, "quota_plugin.py"]
    environ = {"HOOKBUS_NATS_URL": bus.url, "QUOTA_FILE": str(folder / "quota.db")}
    with running(command, folder, **environ) as one, running(command, folder, **environ) as two:
        eventually(lambda: bus.plugins().get("quota") == replicas)
        bus.wait_served()
        yield [one, two]


def test_two_replicas_of_a_plugin_count_as_one(bus: Bus, tmp_path: Path) -> None:
    def say(event: str, **options: Any) -> Decision:
        data = {"text": "hi", "user": "alice"}
        return emitter.emit("message_received", data, id=event, timeout=5.0, **options)

    with quota(bus, tmp_path, 2), SyncEmitter.connect(bus.url, source="/chat") as emitter:
        say("dry", dry_run=True)
        with ThreadPoolExecutor(8) as pool:
            decisions = list(pool.map(say, (f"m{n}" for n in range(50))))
        passed = [decision for decision in decisions if not decision.is_blocked]
        blocked = {d.message for d in decisions if d.is_blocked}
        bob = emitter.emit("message_received", {"text": "hi", "user": "bob"}, timeout=5.0)

    assert (len(passed), blocked) == (30, {"Please wait a minute."})
    assert {record.plugin for record in passed[0].records} == {"rules", "quota"}
    assert not bob.is_blocked
