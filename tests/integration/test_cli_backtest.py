"""`hookbus plugins backtest` on a running bus: a new version beside the old one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hookbus import SyncEmitter
from hookbus.cli.backtest.command import backtest
from hookbus.cli.errors import UsageError
from hookbus.cli.plugins.show import show
from hookbus.errors import InvalidEvent, Unavailable
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, PATIENCE, Bus, eventually, running, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

JUDGE = """\
from pathlib import Path
from hookbus import Block, HookEvent, Intercept, Plugin

plugin = Plugin("judge", version="1.0.0")

@plugin.hook("message_received", phase="mutate", name="texts")
async def texts(event: HookEvent):
    if event.data["text"] == "bad":
        return Block("a bad word", code="bad_word")
    if event.data["text"] == "secret":
        return Intercept(merge={{"text": "[hidden]"}})

@plugin.hook("tool_invoked", phase="validate", name="tools", when=["data.name != 'ls'"])
async def tools(event: HookEvent):
    return None

@plugin.hook("tool_invoked", phase="mutate", name="first")
async def first(event: HookEvent):
    return Block("no args") if not event.data["args"] else None

@plugin.hook("never_kept", phase="validate", name="unkept")
async def unkept(event): ...

@plugin.hook("note_taken", phase="validate", name="notes")
async def notes(event: HookEvent):
    return Block(f"says {{event.data['text']}}", code="said")

@plugin.hook("response_generated", phase="validate", name="answers")
async def answers(event: HookEvent): ...

@plugin.hook(">", phase="observe", name="all")
async def watch(event: HookEvent):
    with Path({observed!r}).open("a") as file:
        file.write(event.id + "\\n")

plugin.run()
"""
NEXT = """\
from pathlib import Path
from hookbus import Block, HookEvent, Intercept, Plugin

plugin = Plugin("judge--next", version="1.1.0", candidate_of="judge")
assert plugin.candidate_of == "judge"

@plugin.hook("message_received", phase="mutate", name="texts", priority=900, mode="enforce")
async def texts(event: HookEvent):
    with Path({asked!r}).open("a") as file:
        file.write(event.id + "\\n")
    match event.data["text"]:
        case "bad": return Block("a bad word", code="bad_word")
        case "secret": return Intercept(merge={{"text": "[gone]"}})
        case "new": return Block("new", code="new")
        case "crash": raise RuntimeError("it is broken")

@plugin.hook("tool_invoked", phase="validate", name="tools", when=["data.name != 'ls'"])
async def tools(event: HookEvent):
    return None

@plugin.hook("never_kept", phase="validate", name="unkept")
async def unkept(event): ...

@plugin.hook("note_taken", phase="validate", name="notes")
async def notes(event: HookEvent):
    return Block(f"says {{event.data['text']}}", code="said")

@plugin.hook("response_generated", phase="validate", name="answers", side_effects="some")
async def answers(event: HookEvent): ...

plugin.run()
"""
GONE = {
    **{"v": 1, "plugin": "gone", "version": "1.0.0", "instance": "i", "candidate_of": "judge"},
    "hooks": [{"type": "message_received", "phase": "mutate"}],
}
SETTINGS = """\
mode = "development"

[types.note_taken]
record_payload = "masked"
secret = ["/text"]

[types.never_kept]
record_payload = "none"
"""
MESSAGES = ("hello", "hello", "bad", "secret", "new", "crash")
BASH: dict[str, Any] = {"name": "bash", "args": {"x": 1}}


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("backtest")
    files = {name: str(folder / name) for name in ("asked", "observed")}
    sources = {"judge": JUDGE.format(**files), "next": NEXT.format(**files)}
    for name, source in sources.items():
        script = folder / "plugins" / name / "plugin.py"
        script.parent.mkdir(parents=True)
        script.write_text(source)
    (folder / "settings.toml").write_text(SETTINGS)
    words = ("--plugins", str(folder / "plugins"), "--settings", str(folder / "settings.toml"))
    with up(folder, "--no-bundled", *words) as bus:
        eventually(lambda: sum(bus.plugins().values()) == len(sources))
        bus.wait_served()
        with SyncEmitter.connect(bus.url, source="/test", principal="chat") as chat:
            for number, text in enumerate(MESSAGES):
                for _ in range(2):  # what comes twice is decided, and kept, once
                    chat.emit("message_received", {"text": text}, id=f"{text}-{number}")
            for tool in (BASH, {**BASH, "name": "ls"}, {"name": "bash", "args": {}}):
                chat.emit("tool_invoked", tool)
            chat.emit("note_taken", {"text": "seven", "more": 7})
            chat.emit("never_kept", {})
            chat.emit("response_generated", {"text": "hi"})
            chat.emit("message_received", {"text": "dry"}, dry_run=True)
            with pytest.raises(InvalidEvent):
                chat.emit("message_received", {"text": 7})
        yield bus


def tried(
    bus: Bus, capfd: pytest.CaptureFixture[str], candidate: str = "judge--next", **options: Any
) -> tuple[int, dict[str, Any]]:
    """Run the command in this process, with everything asked that it can be asked about."""
    said = {"type": None, "rate": 1000.0, "limit": 0, **options}
    with pytest.raises(typer.Exit) as ended:
        backtest(candidate, "1h", url=bus.url, as_json=True, **said)
    return ended.value.exit_code, json.loads(capfd.readouterr().out)


def test_each_recorded_input_is_asked_again_and_differences_are_counted_by_kind(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    code, found = tried(bus, capfd, type="message_received")

    assert code == 1
    # neither the dry run nor what was refused is an input
    assert (found["candidate"], found["incumbent"]) == ("judge--next", "judge")
    assert (found["inputs"], found["compared"], found["not_asked"]) == (6, 6, {})
    kinds = {kind: count for kind, count in found["kinds"].items() if count}
    # "secret": the candidate saw it as its incumbent did, though it asks for a later priority
    assert kinds == {"same": 3, "patch": 1, "verdict": 1, "failure": 1}
    new = next(d for d in found["differences"] if d["kind"] == "verdict")
    assert new["event"]["id"] == "new-4"
    assert new["event"]["source"] == "/test"
    assert (new["incumbent"]["verdict"], new["candidate"]["code"]) == ("continue", "new")
    assert new["candidate"]["mode"] == "shadow"


def test_a_second_backtest_asks_anew_and_finds_the_same(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    """R26 would give the events their old decisions, without asking anybody."""
    first, second = (tried(bus, capfd, type="message_received")[1] for _ in range(2))

    assert first["kinds"] == second["kinds"]
    decisions = [{d["asked_again"] for d in found["differences"]} for found in (first, second)]
    assert not decisions[0] & decisions[1]


def test_what_could_not_be_asked_is_counted_with_the_reason(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    code, found = tried(bus, capfd, type="tool_invoked")

    assert (code, found["kinds"]["same"]) == (0, 1)
    assert found["not_asked"] == {
        "the conditions of both spare it": 1,
        "judge blocked it before": 1,
    }


def test_a_candidate_with_side_effects_cannot_be_asked(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    code, found = tried(bus, capfd, type="response_generated")

    why = "judge--next: it has side effects, and cannot take part in a dry run"
    assert (code, found["compared"], found["not_asked"]) == (5, 0, {why: 1})


def test_masked_inputs_are_told_and_their_secrets_are_not_among_them(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    code, found = tried(bus, capfd, type="note_taken")

    assert (code, found["masked"], found["kinds"]["same"]) == (0, 1, 1)


def test_the_rate_and_the_limit_are_kept(bus: Bus, capfd: pytest.CaptureFixture[str]) -> None:
    _, found = tried(bus, capfd, type="message_received", rate=20.0, limit=5)

    assert (found["inputs"], found["left_out"]) == (5, True)
    assert found["seconds"] >= 4 / 20


def test_observers_hear_nothing_of_it(bus: Bus, capfd: pytest.CaptureFixture[str]) -> None:
    tried(bus, capfd)
    bus.emit("message_received", {"text": "the last one"})
    observed = bus.data_dir.parent / "observed"

    with SyncEmitter.connect(bus.url, source="/test") as chat:
        chat.emit("message_received", {"text": "hello"}, id="the-last")
    eventually(lambda: "the-last" in observed.read_text().split(), FileNotFoundError)

    assert "backtest-" not in observed.read_text()
    assert "backtest-" in (bus.data_dir.parent / "asked").read_text()


def test_a_candidate_that_is_down_is_said_and_nobody_is_asked(bus: Bus) -> None:
    async def announce() -> None:
        transport = await NatsTransport.connect(bus.url, principal="gone")
        await transport.request(
            "hookbus.announce.gone", json.dumps(GONE).encode(), timeout=PATIENCE
        )
        await transport.close()

    asyncio.run(announce())
    with pytest.raises(Unavailable, match="gone is bound, but nothing answers; start it"):
        backtest("gone", "1h", url=bus.url, type=None, rate=1.0, limit=0)
    bus.control("remove", plugin="gone")


def test_who_is_no_candidate_is_told_how_to_become_one(bus: Bus) -> None:
    with pytest.raises(UsageError, match="judge is no candidate: it announces no candidate_of"):
        backtest("judge", "1h", url=bus.url, type=None, rate=1.0, limit=0)


def test_a_type_without_inputs_says_what_would_record_them(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        backtest("judge--next", "1h", url=bus.url, type="never_kept", rate=1.0, limit=0)

    assert ended.value.code == 5
    assert "its record_payload must be masked or full" in capfd.readouterr().err


def test_a_type_that_the_candidate_does_not_ask_for_is_named(
    bus: Bus, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        backtest("judge--next", "1h", url=bus.url, type="order_placed", rate=1.0, limit=0)

    assert ended.value.code == 5
    assert "judge--next does not ask for order_placed; it asks for" in capfd.readouterr().err


def test_ctrl_c_ends_it_with_what_was_found_so_far(bus: Bus, tmp_path: Path) -> None:
    asked = bus.data_dir.parent / "asked"
    before = len(asked.read_text().split())
    command = [*HOOKBUS, "plugins", "backtest", "judge--next", "--since", "1h", "--json"]

    with running([*command, "--rate", "0.1"], tmp_path, HOOKBUS_NATS_URL=bus.url) as process:
        eventually(lambda: len(asked.read_text().split()) > before)
        code = process.stop(signal.SIGINT)
        found = json.loads(process.rest())

    assert (code, found["interrupted"]) == (130, True)
    assert 1 <= found["inputs"] < 6


def test_show_says_whose_candidate_it_is_and_how_often_it_agreed(
    bus: Bus, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show("judge--next", 0.1, bus.url, as_json=False)
    lines = capfd.readouterr().out.splitlines()
    show("judge", 0.1, bus.url, as_json=True)
    incumbent = json.loads(capfd.readouterr().out)

    said = " ".join(" ".join(lines).split())
    assert "candidate of judge" in said
    assert "mode shadow candidate of judge" in said
    assert "in shadow, beside judge: " in said
    assert "1 patch" in said
    assert "judge--next" in incumbent["candidates"]
    assert incumbent["agreement"] is None
    assert all(len(line) <= 80 for line in lines)
