"""`hookbus plugins mode`: what is set is in force for the next event."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus.transport import Message, NatsTransport
from tests.integration.commands import PATIENCE, Bus, eventually, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

GUARD = Path(__file__).parents[2] / "plugins" / "guard_tools"
DANGEROUS = {"name": "shell", "args": {"command": "rm -rf /"}}
MODE = ("plugins", "mode", "guard-tools")


@pytest.fixture(scope="module")
def running(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("modes")
    with up(folder, "--no-bundled", "--plugins", str(GUARD)) as bus:
        yield bus


@pytest.fixture
def bus(running: Bus) -> Iterator[Bus]:
    """A bus on which no mode is overridden."""
    yield running
    running.control("mode", plugin="guard-tools", mode=None)
    running.wait_served()


def emit(bus: Bus) -> subprocess.CompletedProcess[str]:
    return bus.run("emit", "tool_invoked", "--data", json.dumps(DANGEROUS), "--json")


def emit_and_hear_shadow(bus: Bus) -> tuple[dict[str, Any], dict[str, Any]]:
    """Emit by command; return the decision and the first shadow record that is heard."""

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        transport = await NatsTransport.connect(bus.url, principal="ops")
        heard: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        await transport.subscribe("hookbus.decision.shadow.tool_invoked", heard.set_result)
        await transport.flush()
        try:
            done = await asyncio.to_thread(emit, bus)
            async with asyncio.timeout(PATIENCE):
                record = await heard
        finally:
            await transport.close()
        return json.loads(done.stdout), json.loads(record.data)

    return asyncio.run(scenario())


def test_a_shadowed_plugin_blocks_nothing_and_its_verdict_is_recorded(bus: Bus) -> None:
    before = emit(bus)
    done = bus.run(*MODE, "shadow")
    decision, shadow = emit_and_hear_shadow(bus)

    assert before.returncode == 3
    assert (done.returncode, done.stderr) == (0, "")
    assert "guard-tools: mode shadow; in force since generation " in done.stdout
    assert (decision["outcome"], decision["records"]) == ("continue", [])
    assert shadow["decision"] == decision["id"]
    assert shadow["record"]["plugin"] == "guard-tools"
    assert (shadow["record"]["mode"], shadow["record"]["verdict"]) == ("shadow", "block")


def test_a_mode_that_is_reset_is_what_it_was(bus: Bus) -> None:
    bus.run(*MODE, "off")
    without = emit(bus)
    done = bus.run(*MODE, "--reset")
    again = emit(bus)

    assert (without.returncode, again.returncode) == (0, 3)
    assert "guard-tools: the override is gone; in force since" in done.stdout
    assert "tool-invoked: enforce (default)" in done.stdout


def test_a_mode_for_a_time_ends_by_itself(bus: Bus) -> None:
    started = time.monotonic()
    done = bus.run(*MODE, "off", "--for", "2s", "--json")
    without = bus.emit("tool_invoked", DANGEROUS)
    # patience and no sleep: the registry ends it when the time is over
    eventually(lambda: bus.emit("tool_invoked", DANGEROUS).outcome == "block")
    lasted = time.monotonic() - started
    listed = bus.run("plugins")

    assert without.outcome == "continue"
    [hook] = json.loads(done.stdout)["hooks"]
    assert (hook["mode"], hook["until"] is None) == ("off", False)
    assert 2.0 <= lasted < PATIENCE
    assert "override" not in listed.stdout
    assert "off" not in listed.stdout


def test_one_hook_can_be_set_and_wins_over_its_plugin(bus: Bus) -> None:
    bus.run(*MODE, "off")
    done = bus.run(*MODE, "warn", "--hook", "tool-invoked", "--for", "1h")
    decision = bus.emit("tool_invoked", DANGEROUS)

    assert "tool-invoked: warn (override by operator at " in done.stdout
    assert ", until 2" in done.stdout
    assert decision.outcome == "continue"
    assert [record.resolution for record in decision.records] == ["warned"]


def test_the_list_marks_what_is_overridden_and_says_by_whom(bus: Bus) -> None:
    plain = bus.run("plugins")
    bus.run(*MODE, "shadow", "--for", "90s")
    listed = bus.run("plugins")

    assert "*" not in plain.stdout
    assert "shadow*" in listed.stdout.split()
    assert max(map(len, listed.stdout.splitlines())) <= 80
    said = " ".join(listed.stdout.split())
    assert "* guard-tools: shadow by operator at 2" in said
    assert " until 2" in said
    assert "'hookbus plugins mode guard-tools --reset' ends it" in said


def test_a_hook_that_it_does_not_have_is_exit_code_2(bus: Bus) -> None:
    done = bus.run(*MODE, "off", "--hook", "nope")

    assert (done.returncode, done.stdout) == (2, "")
    assert "plugin 'guard-tools' has no hook 'nope'" in done.stderr
    assert bus.control("settings")["overrides"]["modes"] == {}


def test_a_plugin_that_is_removed_is_exit_code_1(bus: Bus) -> None:
    bus.run("plugins", "remove", "guard-tools")
    done = bus.run(*MODE, "shadow")
    bus.run("plugins", "approve", "guard-tools")

    assert done.returncode == 1
    assert "guard-tools is not asked: removed by operator at " in done.stderr
