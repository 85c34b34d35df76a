"""`hookbus decisions`, `decisions explain`, `emit --from` and `top` on a running bus."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.decision_log.reader import NatsStreamReader
from hookbus.decision_log.records import Reference
from hookbus.decision_log.search import find
from hookbus.models import Decision
from hookbus.streams import NatsStreams
from hookbus.transport import NatsTransport
from hookbus.wire.decision import encode_record
from tests.bench.explain import SPEC, decisions
from tests.integration.commands import (
    HOOKBUS,
    PATIENCE,
    Bus,
    eventually,
    hookbus,
    plugin,
    running,
    up,
)

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

JUDGE = """\
from hookbus import Block, HookEvent, Intercept, MessageReceived, Plugin

plugin = Plugin("judge", version="1.2.0")

@plugin.hook("message_received", phase="mutate")
async def judge(event: HookEvent[MessageReceived]):
    match event.data.text:
        case "bad":
            return Block("a \\x1b[31mbad word", code="bad_word")
        case "change":
            return Intercept(merge={"text": "changed"})

if __name__ == "__main__":
    plugin.run()
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("decisions")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "judge", JUDGE):
        yield bus


@pytest.fixture(scope="module")
def blocked(bus: Bus) -> Decision:
    return bus.emit("message_received", {"text": "bad"})


def message(text: str, **attributes: str) -> str:
    return json.dumps({"type": "message_received", "data": {"text": text}, **attributes}) + "\n"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def listed(bus: Bus, *words: str) -> list[dict[str, Any]]:
    done = bus.run("decisions", "--json", *words)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def recorded(bus: Bus, made: Decision) -> None:
    """Wait until a decision stands in the stream; it is handed over before the reply."""

    async def is_found() -> bool:
        transport = await NatsTransport.connect(bus.url, principal="viewer")
        try:
            reader = NatsStreamReader(transport, subjects.DECISIONS_STREAM)
            return bool((await find(reader, Reference(made.id), lambda *_: None)).count)
        finally:
            await transport.close()

    eventually(lambda: asyncio.run(is_found()))


def test_a_decision_is_listed_in_a_line_of_80_columns(bus: Bus, blocked: Decision) -> None:
    recorded(bus, blocked)

    done = bus.run("decisions", "--outcome", "block", "--since", "1h")

    assert done.returncode == 0
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    line = next(line for line in done.stdout.splitlines() if blocked.id[-4:] in line)
    assert line.split()[1:4] == ["block", "message_receiv…", "/test"]
    assert "\x1b" not in done.stdout


def test_json_is_the_record_with_its_time_and_every_filter_holds(
    bus: Bus, blocked: Decision
) -> None:
    passed = bus.emit("message_received", {"text": "hello"})
    recorded(bus, passed)

    ids = [found["id"] for found in listed(bus, "--limit", "0", "--plugin", "judge")]
    only = ("--outcome", "block", "--type", "message_received", "--source", "/test")
    of_blocks = [found["id"] for found in listed(bus, *only)]

    assert ids.index(blocked.id) < ids.index(passed.id)
    assert blocked.id in of_blocks
    assert passed.id not in of_blocks
    assert listed(bus, "--plugin", "other") == []


@pytest.mark.parametrize("words", [(), ("--json",), ("--limit", "0"), ("--follow",)])
def test_who_reads_only_the_first_line_ends_it_quietly(
    bus: Bus, blocked: Decision, words: tuple[str, ...]
) -> None:
    for _ in range(3):
        bus.emit("message_received", {"text": "hello"})
    command = [*HOOKBUS, "decisions", "--url", bus.url, *words]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


def test_what_is_left_out_is_said(bus: Bus, blocked: Decision) -> None:
    bus.emit("message_received", {"text": "hello"})

    done = bus.run("decisions", "--limit", "1")

    assert "older ones are left out" in done.stderr


def test_a_decision_is_explained_by_its_id_in_full_and_in_short(
    bus: Bus, blocked: Decision
) -> None:
    recorded(bus, blocked)

    done = bus.run("decisions", "explain", blocked.id)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    for said in (
        "✗ block",
        blocked.id,
        "judge: verdict (bad_word)",
        "bad word",
        "time line",
        "mutate",
        "generation",
        "'hookbus plugins show judge'",
    ):
        assert said in done.stdout
    assert "\x1b" not in done.stdout
    short = f"{blocked.id[:13]}..{blocked.id[-4:]}"
    assert blocked.id in bus.run("decisions", "explain", short).stdout


def test_explain_says_what_changed_since(bus: Bus) -> None:
    made = bus.emit("message_received", {"text": "bad"})
    recorded(bus, made)

    assert bus.run("plugins", "mode", "judge", "warn").returncode == 0
    try:
        done = bus.run("decisions", "explain", made.id)
        explained = json.loads(bus.run("decisions", "explain", made.id, "--json").stdout)
    finally:
        assert bus.run("plugins", "mode", "judge", "--reset").returncode == 0

    assert "plugins mode judge warn by operator" in done.stdout
    assert "has been changed since" in done.stdout
    assert explained["id"] == made.id
    assert explained["configuration"]["used"] == made.generation
    newest = explained["configuration"]["since"][0]
    assert newest["changes"][0]["before"] == "enforce"
    assert newest["changes"][0]["after"] == "warn"


def test_of_a_trace_the_newest_is_explained_and_the_others_listed(bus: Bus, tmp_path: Path) -> None:
    trace = "5bf92f3577b34da6a3ce929d0e0e4736"
    line = message("hello", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    done = bus.run("emit", "--from", "-", "--json", "--concurrency", "1", stdin=3 * line)
    ids = [decision["id"] for decision in objects(done.stdout)]
    eventually(lambda: len(listed(bus, "--trace", trace)) == 3)

    explained = json.loads(bus.run("decisions", "explain", trace, "--json").stdout)
    shown = bus.run("decisions", "explain", trace).stdout

    assert explained["id"] == ids[-1]
    assert [other["id"] for other in explained["others_found"]] == ids[:-1]
    assert "2 more with that id" in shown


@pytest.mark.parametrize(
    ("id", "code", "said"),
    [
        ("01a1ff58-dd41-7752-a3f1-122dd64ab8e4", 1, "no decision, event or trace"),
        ("nobody", 1, "no event or trace 'nobody': looked at"),
        ("", 2, "expected the id"),
        ("01a1ff58-dd41-7752-a3f1-122dd64ab8eg", 2, "shaped like a UUID"),
        ("x" * 2_000, 2, "2000 characters"),
    ],
)
def test_an_id_that_names_nothing_is_one_line(
    bus: Bus, blocked: Decision, id: str, code: int, said: str
) -> None:
    done = bus.run("decisions", "explain", id)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bus_without_a_registry_explains_what_it_can(own_broker: EmbeddedBroker) -> None:
    done = hookbus("decisions", url=own_broker.url)
    assert done.returncode == 5
    assert "there is no stream 'HOOKBUS_DECISIONS'" in done.stderr

    done = hookbus("top", "--once", "--interval", "0.2", url=own_broker.url)
    assert done.returncode == 0
    assert "no dispatcher answers" in done.stdout
    assert "no registry is listening" in done.stdout


def decide(url: str) -> str:
    """Record a decision as a dispatcher does; return its id."""
    [made] = decisions(1)

    async def record() -> None:
        transport = await NatsTransport.connect(url, principal="dispatcher")
        try:
            await NatsStreams(transport).ensure_stream(SPEC)
            subject = subjects.decision(made.outcome, made.event.type)
            await transport.request(subject, encode_record(made), timeout=PATIENCE)
        finally:
            await transport.close()

    asyncio.run(record())
    return made.id


def test_following_goes_on_over_a_restart_of_the_broker(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    url = own_broker.url
    before = decide(url)
    command = [*HOOKBUS, "decisions", "--follow", "--json", "--url", url]
    with running(command, tmp_path) as follower:
        assert json.loads(follower.line())["id"] == before
        now = decide(url)
        assert json.loads(follower.line())["id"] == now

        own_broker.restart()
        after = [decide(url) for _ in range(3)]

        assert [json.loads(follower.line())["id"] for _ in after] == after
        assert follower.stop(signal.SIGINT) == 130
        assert follower.rest() == ""


def test_a_file_of_events_is_sent_and_summed_up(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(30 * message("hello") + 5 * message("bad") + "\n" + 5 * message("change"))

    done = bus.run("emit", "--from", str(file))

    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["continue", "30"] in rows
    assert ["block", "5"] in rows
    assert ["intercept", "5"] in rows
    assert any(row[:3] == ["of", "these", "5"] and "(bad_word)" in row for row in rows)


def test_a_line_that_is_no_event_is_said_and_the_rest_goes_on(bus: Bus) -> None:
    lines = message("hello") + '{"type":\n' + '{"type": "nope", "data": 1}\n' + message("bad")

    done = bus.run("emit", "--from", "-", "--json", stdin=lines)

    assert done.returncode == 2
    assert {decision["line"] for decision in objects(done.stdout)} == {1, 4}
    assert "line 2: " in done.stderr
    assert "line 3: " in done.stderr
    assert "hello" not in done.stdout + done.stderr


def test_ids_are_fresh_unless_they_are_to_be_kept(bus: Bus) -> None:
    line = message("change", id="kept-1", source="/kept", specversion="1.0")

    fresh = objects(bus.run("emit", "--from", "-", "--json", stdin=line).stdout)
    kept = objects(
        bus.run("emit", "--from", "-", "--json", "--keep-ids", "--with-data", stdin=line).stdout
    )

    assert fresh[0]["event"]["id"] != "kept-1"
    assert "data" not in fresh[0]
    assert kept[0]["event"] == {"id": "kept-1", "source": "/kept", "type": "message_received"}
    assert kept[0]["data"] == {"text": "changed"}


def test_without_a_dispatcher_every_line_is_undecided(own_broker: EmbeddedBroker) -> None:
    done = hookbus("emit", "--from", "-", url=own_broker.url, stdin=2 * message("hello"))

    assert done.returncode == 5
    assert "undecided" in done.stdout


def test_ctrl_c_ends_an_endless_input_with_the_summary_of_what_was_done(
    bus: Bus, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with running([*HOOKBUS, "emit", "--from", str(fifo), "--url", bus.url], tmp_path) as sender:
        with fifo.open("w") as lines:
            lines.write(message("bad", source="/endless"))
            lines.flush()
            eventually(lambda: listed(bus, "--source", "/endless"))
            assert sender.stop(signal.SIGINT) == 130
        said = sender.rest()

    assert "interrupted" in said
    assert ["block", "1"] in [line.split() for line in said.splitlines()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("emit",), "expected TYPE and --data, or --from"),
        (("emit", "message_received", "--from", "-"), "with --from"),
        (("emit", "--from", "/no/such"), "'/no/such': cannot be read"),
        (("emit", "--from", "/"), "'/': cannot be read"),
        (("decisions", "--since", "soon"), "--since: expected"),
        (("decisions", "--type", "message_*"), "--type: expected"),
    ],
)
def test_wrong_use_is_exit_code_2(bus: Bus, words: tuple[str, ...], said: str) -> None:
    done = bus.run(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_top_shows_what_the_bus_does(bus: Bus, tmp_path: Path) -> None:
    command = [*HOOKBUS, "top", "--json", "--interval", "0.3", "--url", bus.url]
    with running(command, tmp_path) as top:
        seen: dict[str, Any] = {}
        while not seen.get("events", {}).get("per_second"):
            bus.emit("message_received", {"text": "hello"})
            seen = json.loads(top.line())
        assert top.stop(signal.SIGINT) == 130

    assert seen["problems"] == []
    assert seen["outcomes"]["continued"] > 0
    assert [(p["plugin"], p["replicas"]) for p in seen["plugins"]] == [("judge", 1)]
    assert seen["plugins"][0]["calls"]["p99_ms"] > 0
    done = bus.run("top", "--once", "--interval", "0.2")
    assert done.returncode == 0
    assert "nothing is wrong" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_reader_that_went_away_ends_the_sending_of_many_quietly(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"type": "message_received", "data": {"text": "hi"}}\n' * 200)
    command = shlex.join([*HOOKBUS, "emit", "--from", str(file), "--json", "--url", bus.url])

    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert json.loads(done.stdout)["outcome"] == "continue"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
