"""`hookbus conformance plugin`: plugins of every kind, honest and deliberately wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.conformance import Report, examine_plugin
from hookbus.transport import NatsTransport
from tests.docs.page import read_page
from tests.integration.commands import Bus, hookbus, plugin, running, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

#: mistake → the one point that it fails.
MISTAKES = {
    "wrong-call": "echoes-call",
    "no-attempt": "echoes-attempt",
    "wrong-name": "names-itself",
    "intercepts": "phase",
    "answers-late": "in-time",
    "dies": "malformed-json",
    "twice": "once",
    "no-queue": "queue",
}
HONEST = ("honest", "guard-tools", "redact-secrets", "audit-log", "no-secrets", "calm")

CALM = """\
from hookbus import Plugin

plugin = Plugin("calm", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def check(event): ...

@plugin.hook("response_generated", phase="mutate")
def change(event): ...

if __name__ == "__main__":
    plugin.run()
"""


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """The reference plugins, the one of docs/protocol.md, one of the SDK, and the wrong ones."""
    folder = tmp_path_factory.mktemp("conformance")
    raw = Path(__file__).with_name("raw_plugins.py")
    # two replicas, so that sharing the calls can be seen
    names = [*MISTAKES, "no-queue", "honest", "honest"]
    with (
        up(folder) as bus,
        plugin(bus, folder, "no-secrets", read_page().blocks["plugin"]),
        plugin(bus, folder, "calm", CALM),
        running([sys.executable, str(raw), *names], folder, HOOKBUS_NATS_URL=bus.url) as process,
    ):
        assert process.line() == "bound\n"
        bus.wait_served()
        yield bus


@pytest.fixture(scope="module")
def reports(bus: Bus) -> dict[str, Report]:
    """Check all plugins, several at the same time: most of it is waiting."""

    async def examine() -> dict[str, Report]:
        transport = await NatsTransport.connect(bus.url, principal="dispatcher")
        few = asyncio.Semaphore(3)

        async def one(name: str) -> Report:
            async with few:
                return await examine_plugin(transport, "dispatcher", name)

        try:
            found = await asyncio.gather(*(one(name) for name in (*MISTAKES, *HONEST)))
        finally:
            await transport.close()
        return {report.name: report for report in found}

    return asyncio.run(examine())


def failed(report: Report) -> list[str]:
    return [finding.point for finding in report.findings if finding.status == "fail"]


@pytest.mark.parametrize("name", HONEST)
def test_a_plugin_that_keeps_the_protocol_conforms(reports: dict[str, Report], name: str) -> None:
    assert failed(reports[name]) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake_fails_one_point(reports: dict[str, Report], mistake: str) -> None:
    assert failed(reports[mistake]) == [MISTAKES[mistake]]


def test_two_replicas_that_share_the_calls_pass_the_queue_point(
    reports: dict[str, Report],
) -> None:
    found = {finding.point: finding.status for finding in reports["honest"].findings}

    assert (found["queue"], found["service-api"]) == ("pass", "pass")


def test_conforming_is_exit_code_0_and_a_table_within_80_columns(bus: Bus) -> None:
    done = bus.run("conformance", "plugin", "guard-tools")

    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "✓  echoes-call" in done.stdout
    assert "guard-tools conforms: " in done.stdout.splitlines()[-1]


def test_a_failed_point_is_exit_code_1_and_json_says_what_was_seen(bus: Bus) -> None:
    done = bus.run("conformance", "plugin", "wrong-name", "--json")

    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert (report["plugin"], report["conforms"], report["counts"]["fail"]) == (
        "wrong-name",
        False,
        1,
    )
    [finding] = [finding for finding in report["findings"] if finding["status"] == "fail"]
    assert finding == {
        "point": "names-itself",
        "hook": "hook",
        "status": "fail",
        "seen": "the answer's plugin is 'another', expected 'wrong-name'",
        "rule": "A verdict's 'plugin' is the plugin's name; another one is dropped as"
        " spoofed_reply.",
    }


def test_a_payload_of_ones_own_is_tried(bus: Bus) -> None:
    words = ("--hook", "message-received", "--data", '{"text": "sk-abc123"}', "--json")
    done = bus.run("conformance", "plugin", "no-secrets", *words)

    report = json.loads(done.stdout)
    [verdict] = [f["seen"] for f in report["findings"] if f["point"] == "verdict"]
    assert (done.returncode, verdict) == (0, "its verdict is 'intercept'")


def test_a_plugin_that_nobody_knows_is_exit_code_5(bus: Bus) -> None:
    done = bus.run("conformance", "plugin", "nobody")

    assert (done.returncode, done.stdout) == (5, "")
    assert "plugin 'nobody' is not known to the registry; known are: " in done.stderr


def test_a_plugin_that_is_bound_and_dead_is_exit_code_5(bus: Bus, tmp_path: Path) -> None:
    with plugin(bus, tmp_path, "fleeting", CALM.replace("calm", "fleeting")) as process:
        process.stop(9)
        done = bus.run("conformance", "plugin", "fleeting")

    assert (done.returncode, done.stdout) == (5, "")
    assert "plugin 'fleeting' is bound, and nothing listens on" in done.stderr


def test_no_registry_is_exit_code_5(own_broker: EmbeddedBroker) -> None:
    done = hookbus("conformance", "plugin", "calm", url=own_broker.url)

    assert (done.returncode, done.stdout) == (5, "")
    assert "no registry is listening" in done.stderr


def test_a_plugin_of_the_sdk_drains(bus: Bus, tmp_path: Path) -> None:
    with plugin(bus, tmp_path, "leaving", CALM.replace("calm", "leaving")) as process:
        words = ("--hook", "message-received", "--drain", "--pid", str(process.pid), "--json")
        done = bus.run("conformance", "plugin", "leaving", *words)
        code = process.wait()

    findings = json.loads(done.stdout)["findings"]
    points = {f["point"]: f["status"] for f in findings if f["point"].startswith("drain")}
    assert (done.returncode, code) == (0, 0)
    assert points == {"drain-goodbye": "pass", "drain-answers": "pass", "drain-gone": "pass"}
