"""`hookbus plugins show` and `plugins explain` on a bus that works."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.cli.plugins.asked import PluginAnswer, Question, View, explain
from hookbus.cli.plugins.explain import look
from hookbus.transport import NatsTransport
from tests.integration.commands import Bus, hookbus, plugin, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

PICKY = """\
from hookbus import Plugin

plugin = Plugin("picky", version="1.2.3")

@plugin.hook("tool_invoked", phase="validate", name="tools", when=['data.name == "bash"'])
async def check(event): ...

@plugin.hook("message_received", phase="mutate", name="texts", when=["data.user != 'root'"])
async def change(event): ...

@plugin.hook("response_generated", phase="validate", name="answers", priority=7)
async def answers(event):
    raise RuntimeError("it is broken")

if __name__ == "__main__":
    plugin.run()
"""
BASH = {"name": "bash", "args": {}}


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("questions")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "picky", PICKY):
        yield bus


def explained(bus: Bus, type: str, data: Any, hook: str | None = None) -> PluginAnswer:
    async def ask() -> View:
        transport = await NatsTransport.connect(bus.url, principal="ops")
        try:
            return await look(transport, "ops")
        finally:
            await transport.close()

    return explain(asyncio.run(ask()), Question(plugin="picky", type=type, data=data, hook=hook))


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("tool_invoked", BASH),
        ("tool_invoked", {"name": "sh", "args": {}}),
        ("message_received", {"text": "hi", "user": "root"}),
        ("message_received", {"text": "hi", "user": "me"}),
        ("message_received", {"text": "hi"}),
    ],
)
def test_it_says_what_the_dispatcher_does_then(bus: Bus, type: str, data: Any) -> None:
    answer = explained(bus, type, data)
    decision = bus.emit(type, data)

    was_asked = any(record.attempt for record in decision.records)
    assert answer.asked == was_asked
    [hook] = [hook for hook in answer.hooks if hook.code != "type"]
    notes = [note["kind"] for record in decision.records for note in record.notes]
    failures = [record.failure for record in decision.records if record.failure]
    assert [hook.code] == (["asked"] if was_asked else notes + failures)
    assert answer.generation == decision.generation


def test_people_read_the_condition_and_what_it_found_within_80_columns(bus: Bus) -> None:
    data = json.dumps({"name": "s\x1b[2Jh", "args": {}})

    done = bus.run("plugins", "explain", "picky", "--type", "tool_invoked", "--data", data)

    assert done.returncode == 1
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert "picky would not be asked about tool_invoked" in done.stdout
    said = " ".join(done.stdout.split())
    assert 'its condition is false: data.name == "bash" data.name = s[2Jh' in said


def test_a_payload_can_come_from_stdin(bus: Bus) -> None:
    words = ("plugins", "explain", "picky", "--type", "tool_invoked", "--data", "-", "--json")

    done = bus.run(*words, stdin=json.dumps(BASH))

    assert done.returncode == 0
    assert json.loads(done.stdout)["asked"] is True


def test_mode_and_removal_are_the_reason_as_long_as_they_hold(bus: Bus) -> None:
    bus.control("mode", plugin="picky", mode="off", hook="tools")
    off = explained(bus, "tool_invoked", BASH, "tools")
    bus.control("mode", plugin="picky", mode=None)
    bus.control("remove", plugin="picky")
    removed = explained(bus, "tool_invoked", BASH)
    shown = bus.run("plugins", "show", "picky", "--interval", "0.1")
    bus.control("approve", plugin="picky")
    bus.wait_served()

    assert (off.asked, removed.asked, explained(bus, "tool_invoked", BASH).asked) == (
        False,
        False,
        True,
    )
    assert "override by ops" in off.hooks[0].why
    assert (removed.code, removed.hooks) == ("removed", [])
    assert "removed by ops" in (removed.why or "")
    assert (shown.returncode, "picky: removed by ops" in shown.stdout) == (1, True)


def test_a_breaker_that_opened_is_told_by_show_and_by_explain(bus: Bus) -> None:
    while "breaker_open" not in failures(bus):
        pass
    [hook] = explained(bus, "response_generated", {"text": "x"}, "answers").hooks
    shown = json.loads(bus.run("plugins", "show", "picky", "--json", "--interval", "0.1").stdout)

    if hook.code == "breaker_open":
        assert "its breaker is open: dispatcher " in hook.why
        assert " s more" in hook.why
    else:  # it had its rest before we asked: the next call is a probe
        assert hook.asked is True
    [dispatcher] = shown["dispatchers"]
    assert dispatcher["breakers"].keys() == {"enforce"}
    assert shown["failures"]["service_error"] >= 5
    assert shown["failures"]["breaker_open"] >= 1
    assert shown["calls"]["count"] >= 5
    assert shown["calls"]["p99_ms"] > 0


def failures(bus: Bus) -> list[str | None]:
    """How an event fails that nobody can answer."""
    return [record.failure for record in bus.emit("response_generated", {"text": "x"}).records]


def test_show_says_each_value_with_its_origin_within_80_columns(bus: Bus) -> None:
    done = bus.run("plugins", "show", "picky", "--interval", "0.1")

    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["picky", "1.2.3", "bound"] in lines
    assert ["priority", "7", "announcement"] in lines
    assert ["on_failure", "closed", "default"] in lines
    assert any(line[:1] == ["replica"] and "pid" in line for line in lines)


def test_a_plugin_that_nobody_knows_is_exit_code_1(bus: Bus) -> None:
    shown = bus.run("plugins", "show", "nobody", "--interval", "0.1")
    asked = bus.run("plugins", "explain", "nobody", "--type", "tool_invoked")

    assert (shown.returncode, asked.returncode) == (1, 1)
    assert "it has not announced itself" in shown.stderr
    assert "known are: picky" in " ".join(asked.stdout.split())


def test_a_hook_that_it_has_not_is_wrong_use(bus: Bus) -> None:
    done = bus.run("plugins", "explain", "picky", "--type", "tool_invoked", "--hook", "x")

    assert (done.returncode, done.stdout) == (2, "")
    assert "it has: " in done.stderr


def test_without_a_registry_nothing_can_be_told(own_broker: EmbeddedBroker) -> None:
    assert hookbus("plugins", "show", "x", url=own_broker.url).returncode == 5
