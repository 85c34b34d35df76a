"""Dead letters on a whole bus with credentials: real processes, and the commands for operators."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hookbus import Emitter
from hookbus.cli.app import make_app
from hookbus.errors import HookbusError
from hookbus.identity.folder import CredentialsFolder
from tests.integration.commands import Process, eventually, running, up
from tests.integration.test_deputies import operate
from tests.integration.test_secure_up import SecureBus, violations

pytestmark = pytest.mark.usefixtures("nats_server_program")

SETTINGS = "[observers]\nbackoff_ms = [20]\nmax_deliver = 2\n"

OBSERVER = """
from pathlib import Path
from hookbus import HookEvent, Plugin

folder = Path({folder!r})
plugin = Plugin("diary", version="1.0.0")

@plugin.hook("message_received", phase="observe", name="write")
async def write(event: HookEvent):
    if (folder / "broken").exists():
        raise RuntimeError("disk on fire")
    with (folder / "seen").open("a") as file:
        file.write(event.id + "\\n")

plugin.run()
"""


class DiaryBus(SecureBus):
    """A bus with credentials, and an observer as somebody else's process."""

    @property
    def here(self) -> Path:
        return self.data_dir.parent

    def seen(self) -> list[str]:
        file = self.here / "seen"
        return file.read_text().split() if file.exists() else []

    def emit_as_chat(self, *ids: str) -> None:
        async def emit() -> None:
            chat = self.creds("chat")
            async with Emitter.connect(self.url, source="/chat", creds=chat) as emitter:
                for one in ids:
                    await emitter.emit("message_received", {"text": "hi"}, id=one, timeout=5)

        asyncio.run(emit())

    def operate(self, *words: str) -> Result:
        """Run a command in this process, as the operator."""
        environ = {"HOOKBUS_NATS_URL": self.url, "HOOKBUS_CREDS": str(self.creds("operator"))}
        return CliRunner().invoke(make_app(words), words, env={**environ, "COLUMNS": "80"})

    def told(self, *words: str) -> Any:
        done = self.operate(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = operate(self, "dlq")["letters"]
        return found

    def diary(self) -> dict[str, Any]:
        """What is known of the observer."""
        [plugin] = operate(self, "list")["plugins"]
        found: dict[str, Any] = plugin
        return found


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiaryBus]:
    folder = tmp_path_factory.mktemp("diary")
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS)
    known = CredentialsFolder(folder / "data" / "credentials")
    known.create("emitter", "chat")
    known.create("plugin", "diary")
    with up(folder, "--secure", "--no-bundled", "--settings", str(settings)) as started:
        started.__class__ = DiaryBus
        assert isinstance(started, DiaryBus)
        yield started


@pytest.fixture(scope="module")
def diary(bus: DiaryBus) -> Iterator[Process]:
    with running_diary(bus) as process:
        yield process


@contextmanager
def running_diary(bus: DiaryBus) -> Iterator[Process]:
    script = bus.here / "diary.py"
    script.write_text(OBSERVER.format(folder=str(bus.here)))
    environ = {"HOOKBUS_NATS_URL": bus.url, "HOOKBUS_CREDS": str(bus.creds("diary"))}
    with running([sys.executable, str(script)], bus.here, **environ) as process:
        eventually(lambda: bus.diary()["replicas"], ValueError)
        yield process


def test_a_letter_is_listed_shown_sent_again_and_dropped(bus: DiaryBus, diary: Process) -> None:
    before = violations(bus)
    broken = bus.here / "broken"
    broken.touch()
    bus.emit_as_chat("p1", "p2")
    first, second = eventually(lambda: len(found := bus.letters()) == 2 and found)
    table = bus.operate("dlq").stdout
    shown = bus.told("dlq", str(first["id"]))
    page = bus.operate("dlq", str(first["id"])).stdout
    listed = bus.operate("plugins").stdout
    still = bus.operate("dlq", "retry", str(second["id"]))
    eventually(lambda: bus.letters()[-1]["tries"] == 4)
    broken.unlink()

    retried = bus.told("dlq", "retry", str(first["id"]))
    eventually(lambda: first["event"] in bus.seen())
    dropped = bus.operate("dlq", "drop", "--plugin", "diary")

    assert {first["event"], second["event"]} == {"p1", "p2"}
    assert first["error"] == "RuntimeError; see the plugin's log"
    assert first["tries"] == 2
    assert "diary/write" in table
    assert max(map(len, table.splitlines())) <= 80
    assert shown["observed"]["event"]["data"] == {"text": "hi"}
    assert '"text": "hi"' in page
    assert "diary/write: 2 dead letters, see 'hookbus dlq --plugin diary'" in listed
    assert still.stdout == "sent again: 1 letter; what fails again: 'hookbus dlq'\n"
    assert retried == {"retried": [first["id"]], "left": []}
    assert dropped.stdout == "dropped: 1 letter\n"
    assert bus.told("dlq") == {"letters": [], "more": False}
    assert violations(bus) == before


def test_an_observer_that_is_killed_misses_nothing(bus: DiaryBus, diary: Process) -> None:
    (bus.here / "broken").touch()
    bus.emit_as_chat("w1")
    eventually(bus.letters)
    (bus.here / "broken").unlink()
    diary.stop(signal.SIGKILL)
    ids = [f"k{number}" for number in range(5)]
    bus.emit_as_chat(*ids)
    state = eventually(lambda: (now := observer(bus))["waiting"] == 5 and now)
    unsent = bus.operate("dlq", "retry", "--all")

    with running_diary(bus):
        eventually(lambda: set(ids) <= set(bus.seen()))
        sent = bus.operate("dlq", "retry", "--all")
        eventually(lambda: "w1" in bus.seen())
        replay = bus.operate("plugins", "replay", "diary", "--since", "1h")
        eventually(lambda: bus.seen().count("k4") == 2)
        eventually(lambda: observer(bus)["waiting"] == 0)

    assert state["oldest_s"] > 0
    assert unsent.exit_code == 1
    assert "1 letter not sent: no replica of diary answers; start it" in unsent.stderr
    assert sent.exit_code == 0
    assert sorted(set(bus.seen()).intersection(ids)) == ids
    assert replay.stdout.startswith("diary/write: ")
    assert "the stream goes back to" in replay.stdout
    assert 'observe = "always"' in replay.stdout


def observer(bus: DiaryBus) -> dict[str, Any]:
    found: dict[str, Any] = bus.diary()["hooks"][0]["observer"]
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dlq", "99999"), "there is no dead letter 99999"),
        (("dlq", "soon"), "expected a letter's number"),
        (("dlq", "retry"), "expected one of an ID, --plugin NAME and --all"),
        (("dlq", "drop", "1", "--all"), "expected one of an ID, --plugin NAME and --all"),
        (("plugins", "replay", "nobody", "--since", "1h"), "no such hook that observes"),
        (("plugins", "replay", "diary", "--since", "soon"), "--since: expected"),
    ],
)
def test_what_cannot_be_is_said(bus: DiaryBus, words: tuple[str, ...], said: str) -> None:
    done = bus.operate(*words)

    assert isinstance(done.exception, HookbusError)
    assert said in str(done.exception)
