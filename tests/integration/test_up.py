"""`hookbus up`, as a person has it: processes, signals, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.emitter import Emitter
from hookbus.errors import HookbusError
from hookbus.models import Decision
from tests.integration.commands import (
    HOOKBUS,
    Bus,
    children,
    eventually,
    get,
    hookbus,
    is_gone,
    plugin,
    running,
    up,
)

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

TEN_LINES = """\
from hookbus import Block, HookEvent, MessageReceived, Plugin

plugin = Plugin("no-shouting", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def listen(event: HookEvent[MessageReceived]) -> Block | None:
    return Block("this is shouting", code="shouting") if event.data.text.isupper() else None

if __name__ == "__main__":
    plugin.run()
"""

QUIET = {"text": "hello"}
LOUD = {"text": "HELLO"}


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """One bus without reference plugins for the tests of this module."""
    with up(tmp_path_factory.mktemp("up"), "--no-bundled") as bus:
        yield bus


def test_ready_is_said_with_the_urls_and_the_process_id(bus: Bus) -> None:
    assert bus.ready.keys() == {"nats_url", "http_url", "pid", "creds"}
    assert bus.ready["pid"] == bus.process.pid


def test_what_is_said_to_be_ready_decides(bus: Bus) -> None:
    assert bus.emit("message_received", QUIET).outcome == "continue"


def test_health_is_answered_over_http(bus: Bus) -> None:
    status, body = get(f"{bus.http}/healthz")

    assert (status, body["role"], body["connected"]) == (200, "dispatcher", True)
    assert get(f"{bus.http}/readyz")[0] == 200


def test_ten_lines_of_a_plugin_block_an_emit(bus: Bus, tmp_path: Path) -> None:
    with plugin(bus, tmp_path, "no-shouting", TEN_LINES):
        blocked = bus.run("emit", "message_received", "--data", json.dumps(LOUD))

    assert blocked.returncode == 3
    assert "this is shouting" in blocked.stdout


def test_after_kill_9_of_a_plugin_the_next_emit_is_blocked_and_says_what_to_do(
    bus: Bus, tmp_path: Path
) -> None:
    with plugin(bus, tmp_path, "no-shouting", TEN_LINES) as process:
        process.stop(signal.SIGKILL)

    blocked = bus.run("emit", "message_received", "--data", json.dumps(QUIET))
    listed = bus.run("plugins")
    removed = bus.run("plugins", "remove", "no-shouting")
    after = bus.run("emit", "message_received", "--data", json.dumps(QUIET))

    assert blocked.returncode == 4
    said = re.sub(r"\s+", " ", blocked.stdout)
    assert "no-shouting" in said
    assert "no_responders" in said
    assert "hookbus plugins remove no-shouting" in said
    assert "hookbus plugins remove no-shouting" in re.sub(r"\s+", " ", listed.stdout)
    assert removed.returncode == 0
    assert after.returncode == 0
    bus.control("approve", plugin="no-shouting")


def test_sigterm_of_a_plugin_unbinds_it(bus: Bus, tmp_path: Path) -> None:
    with plugin(bus, tmp_path, "no-shouting", TEN_LINES) as process:
        code = process.stop(signal.SIGTERM)

    bus.wait_served()
    assert code == 0
    assert bus.plugins() == {}
    assert bus.emit("message_received", LOUD).outcome == "continue"


@pytest.mark.parametrize("role", ["registry", "dispatcher", "broker"])
def test_what_is_killed_comes_back_and_no_binding_is_lost(
    bus: Bus, tmp_path: Path, role: str
) -> None:
    with plugin(bus, tmp_path, "no-shouting", TEN_LINES):
        killed = children(bus.process.pid)[role]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: children(bus.process.pid).get(role, killed) != killed)
        decision = eventually(lambda: bus.emit("message_received", LOUD), HookbusError)
        listed = eventually(bus.plugins, HookbusError)

    assert decision.by == "no-shouting"
    assert decision.code == "shouting"
    assert listed == {"no-shouting": 1}


def test_a_second_up_on_the_same_data_is_refused_and_the_first_is_named(bus: Bus) -> None:
    second = hookbus("up", "--port", "0", "--data", str(bus.data_dir))

    assert second.returncode == 2
    assert f"is in use by process {bus.process.pid}" in second.stderr


def test_a_taken_nats_port_is_refused_and_its_owner_is_named(bus: Bus, tmp_path: Path) -> None:
    port = bus.url.rpartition(":")[2]

    refused = hookbus("up", "--port", port, "--http-port", "0", "--data", str(tmp_path / "data"))

    assert refused.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken by process" in refused.stderr
    assert "nats-server" in refused.stderr


def test_a_taken_http_port_is_refused_and_its_owner_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = hookbus(
            "up", "--port", "0", "--http-port", str(port), "--data", str(tmp_path / "data")
        )

    assert refused.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken by process {os.getpid()}" in refused.stderr


def test_bad_settings_are_refused_with_file_and_field(tmp_path: Path) -> None:
    settings = tmp_path / "bad.toml"
    settings.write_text("timeout_ms = 3\n")

    refused = hookbus(
        "up", "--port", "0", "--settings", str(settings), "--data", str(tmp_path / "data")
    )

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"hookbus: {settings}:1: timeout_ms: expected ")


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    refused = hookbus("up", "--port", "0", "--data", str(file))

    assert refused.returncode == 2
    assert refused.stderr == f"hookbus: data directory {str(file)!r} is not a directory\n"


def test_a_folder_without_plugins_is_refused(tmp_path: Path) -> None:
    refused = hookbus(
        "up", "--port", "0", "--plugins", str(tmp_path), "--data", str(tmp_path / "data")
    )

    assert refused.returncode == 2
    assert f"{str(tmp_path)!r}: expected a plugin.py or */plugin.py" in refused.stderr


def test_a_plugin_that_does_not_start_ends_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('the model file is missing')\n")

    failed = hookbus(
        *("up", "--port", "0", "--no-bundled", "--plugins", str(script)),
        *("--data", str(tmp_path / "data")),
    )

    assert failed.returncode == 1
    assert "broken ended with exit code 1" in failed.stderr
    assert "the model file is missing" in failed.stderr


def test_up_runs_the_plugins_of_a_folder_and_starts_them_again(tmp_path: Path) -> None:
    folder = tmp_path / "no_shouting"
    folder.mkdir()
    (folder / "plugin.py").write_text(TEN_LINES)

    with up(tmp_path, "--no-bundled", "--plugins", str(tmp_path)) as bus:
        first = bus.emit("message_received", LOUD)
        killed = children(bus.process.pid)["no_shouting"]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: children(bus.process.pid).get("no_shouting", killed) != killed)
        eventually(lambda: bus.plugins() == {"no-shouting": 1})
        second = bus.emit("message_received", LOUD)

    assert (first.code, second.code) == ("shouting", "shouting")
    assert "no-shouting was killed by signal 9" in bus.process.errors.read_text()


def test_sigterm_ends_up_in_order_with_exit_code_0(tmp_path: Path) -> None:
    command = [*HOOKBUS, "up", "--port", "0", "--data", str(tmp_path / "data")]
    with running(command, tmp_path) as process:
        ready = process.line()
        started = children(process.pid)
        code = process.stop(signal.SIGTERM)
        rest = process.rest()

    assert code == 0
    assert re.fullmatch(r"hookbus is ready at nats://\S+ \(health: http://\S+\).*\n", ready)
    assert rest == ""
    [said] = process.errors.read_text().splitlines()
    assert said.startswith("hookbus: no authentication: ")
    assert {"broker", "registry", "dispatcher", "redact_secrets"} <= started.keys()
    assert all(is_gone(pid) for pid in started.values())


def test_kill_9_of_up_leaves_no_process(tmp_path: Path) -> None:
    with up(tmp_path) as bus:
        started = children(bus.process.pid)
        bus.process.stop(signal.SIGKILL)

    assert len(started) >= 4
    eventually(lambda: all(is_gone(pid) for pid in started.values()))


def test_a_plugin_that_is_bound_from_before_and_absent_is_told_at_the_start(
    tmp_path: Path,
) -> None:
    with up(tmp_path, "--no-bundled") as bus, plugin(bus, tmp_path, "no-shouting", TEN_LINES) as p:
        p.stop(signal.SIGKILL)

    with up(tmp_path, "--no-bundled") as again:
        said = again.process.errors.read_text()

    assert "plugin 'no-shouting' is bound, but no replica answers" in said
    assert "hookbus plugins remove no-shouting" in said


def test_a_plugin_that_the_settings_make_impossible_is_said_at_once(tmp_path: Path) -> None:
    settings = tmp_path / "hookbus.toml"
    settings.write_text("[plugins.redact-secrets.hooks.message-received]\ncache_ttl_ms = 5\n")

    with up(tmp_path, "--settings", str(settings)) as bus:
        told = bus.process.errors.read_text()
        listed = bus.run("plugins").stdout

    assert "hookbus: plugin 'redact-secrets' is not asked: " in told
    assert "expected nothing on a mutate hook, got 5" in told
    assert "redact-secrets is not asked:" in listed


def test_the_reference_plugins_answer_64_events_at_once(tmp_path: Path) -> None:
    async def emit_all(url: str) -> list[Decision]:
        data = {"name": "shell", "args": {"command": "ls"}}
        async with Emitter.connect(url, source="/test", timeout=20.0) as emitter:
            return await asyncio.gather(*(emitter.emit("tool_invoked", data) for _ in range(64)))

    settings = tmp_path / "hookbus.toml"
    patient = "[plugins.{}.hooks.tool-invoked]\ntimeout_ms = 10_000\n"
    settings.write_text(patient.format("guard-tools") + patient.format("redact-secrets"))
    with up(tmp_path, "--settings", str(settings)) as bus:
        decisions = asyncio.run(emit_all(bus.url))

    assert {(d.outcome, d.reason) for d in decisions} == {("continue", None)}
    assert {record.plugin for d in decisions for record in d.records} == {
        "redact-secrets",
        "guard-tools",
    }


def test_settings_that_break_while_it_runs_are_told_once_by_up(tmp_path: Path) -> None:
    settings = tmp_path / "hookbus.toml"
    settings.write_text("")

    with up(tmp_path, "--no-bundled", "--settings", str(settings)) as bus:
        settings.write_text("nonsense = 1\n")
        os.kill(children(bus.process.pid)["registry"], signal.SIGKILL)
        told = eventually(lambda: _lines(bus.process.errors, "exit code 2", at_least=2))

    assert "nonsense" in told[0]
    assert str(settings) in told[0]
    assert "nonsense" not in told[1]


def _lines(file: Path, holding: str, *, at_least: int) -> list[str] | None:
    found = [line for line in file.read_text().splitlines() if holding in line]
    return found if len(found) >= at_least else None
