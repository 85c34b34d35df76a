"""`hookbus emit` and its exit codes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker
from tests.integration.commands import Bus, hookbus, plugin, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

NOTHING_LISTENS = "nats://127.0.0.1:1"

JUDGE = """\
import asyncio

from hookbus import Block, HookEvent, Intercept, MessageReceived, Plugin

plugin = Plugin("judge", version="1.2.0")

@plugin.hook("message_received", phase="mutate")
async def judge(event: HookEvent[MessageReceived]):
    match event.data.text:
        case "bad":
            return Block("a bad word", code="bad_word")
        case "change":
            return Intercept(merge={"text": "changed"})
        case "slow":
            await asyncio.sleep(30)

if __name__ == "__main__":
    plugin.run()
"""


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A bus with one plugin that does what the text says."""
    folder = tmp_path_factory.mktemp("emit")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "judge", JUDGE):
        yield bus


def text(said: str) -> str:
    return json.dumps({"text": said})


def test_continue_is_exit_code_0(bus: Bus) -> None:
    done = bus.run("emit", "message_received", "--data", text("hello"))

    assert (done.returncode, done.stderr) == (0, "")
    assert "continue" in done.stdout
    assert "judge" in done.stdout


def test_intercept_is_exit_code_0_and_shows_the_difference(bus: Bus) -> None:
    done = bus.run("emit", "message_received", "--data", text("change"))

    assert (done.returncode, done.stderr) == (0, "")
    assert "intercept" in done.stdout
    assert "- change" in done.stdout
    assert "+ changed" in done.stdout


def test_a_block_by_a_verdict_is_exit_code_3(bus: Bus) -> None:
    done = bus.run("emit", "message_received", "--data", text("bad"))

    assert (done.returncode, done.stderr) == (3, "")
    assert "a bad word" in done.stdout


def test_a_block_for_another_cause_is_exit_code_4(bus: Bus) -> None:
    done = bus.run("emit", "message_received", "--data", text("slow"))

    assert (done.returncode, done.stderr) == (4, "")
    assert "timeout" in done.stdout


def test_json_is_the_decision_with_the_data_to_use(bus: Bus) -> None:
    done = bus.run(
        *("emit", "message_received", "--data", text("change"), "--json", "--dry-run"),
        *("--id", "42", "--source", "/here", "--subject", "room-1"),
    )

    decision = json.loads(done.stdout)
    assert done.returncode == 0
    assert decision["event"] == {"id": "42", "source": "/here", "type": "message_received"}
    assert decision["outcome"] == "intercept"
    assert decision["data"] == {"text": "changed"}
    assert decision["dry_run"] is True


def test_data_is_read_from_a_file(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(text("bad"))

    done = bus.run("emit", "message_received", "--data", f"@{file}")

    assert done.returncode == 3


def test_data_is_read_from_stdin(bus: Bus) -> None:
    done = bus.run("emit", "message_received", "--data", "-", stdin=text("bad"))

    assert done.returncode == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("message_received", "--data", '{"text": 5}'), "'/data/text'"),
        (("no_such_type", "--data", "{}"), "'no_such_type' is not a type of this bus"),
        (("Bad-Type", "--data", "{}"), "'/type'"),
        (("message_received", "--data", "{text}"), "--data: expected JSON"),
        (("message_received", "--data", "@/no/such"), "'/no/such': cannot be read"),
        (
            ("message_received", "--data", "{}", "--timeout", "0"),
            "--timeout: expected 0.01 … 86400",
        ),
    ],
)
def test_what_is_wrong_with_an_event_is_one_line_and_exit_code_2(
    bus: Bus, words: tuple[str, ...], said: str
) -> None:
    done = bus.run("emit", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hookbus: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_broker_is_exit_code_5_soon_and_says_what_to_do() -> None:
    started = time.monotonic()
    done = hookbus("emit", "message_received", "--data", text("hello"), "--url", NOTHING_LISTENS)
    took = time.monotonic() - started

    assert (done.returncode, done.stdout) == (5, "")
    assert NOTHING_LISTENS in done.stderr
    assert "'hookbus up'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert took < 10


def test_a_broker_without_a_dispatcher_is_exit_code_5(own_broker: EmbeddedBroker) -> None:
    done = hookbus("emit", "message_received", "--data", text("hello"), url=own_broker.url)

    assert (done.returncode, done.stdout) == (5, "")
    assert "no dispatcher is listening" in done.stderr
    assert done.stderr.count("\n") == 1
