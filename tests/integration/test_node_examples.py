"""docs/examples/node: written from docs/protocol.md, with Node's NATS client, nothing of ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.conformance import Report, Wishes, examine_emitter, examine_plugin
from hookbus.transport import NatsTransport
from tests.docs.page import NODE
from tests.docs.story import demand_node
from tests.integration.commands import (
    Bus,
    Process,
    children,
    clean_environment,
    eventually,
    running,
    up,
)

pytestmark = pytest.mark.usefixtures("nats_server_program")

PLUGINS = {"mask-emails": "plugin.mjs", "tiny": "tiny.mjs"}
NPM_TIMEOUT = 120.0  # seconds; it is a registry far away
MAIL = {"text": "write to ann@example.org", "user": "u1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples with what their package.json names. No npm skips, but not in CI."""
    demand_node()
    folder = tmp_path_factory.mktemp("node") / "examples"
    shutil.copytree(NODE, folder)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with up(tmp_path_factory.mktemp("bus"), "--no-bundled") as bus:
        yield bus


def start(folder: Path, script: str, **environ: str) -> AbstractContextManager[Process]:
    return running(["node", str(folder / script)], folder, **environ)


def answer(process: Process) -> Any:
    """What the registry said to the plugin, which prints it."""
    return json.loads(process.line())


def emit(folder: Path, url: str, *words: str, **environ: str) -> Any:
    """Run the emitter once; return what it printed."""
    done = subprocess.run(
        ["node", str(folder / "emitter.mjs"), *words],
        env=clean_environment(HOOKBUS_NATS_URL=url, **environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def examined(bus: Bus, name: str, wishes: Wishes = Wishes()) -> Report:  # noqa: B008 - it is frozen
    async def examine() -> Report:
        transport = await NatsTransport.connect(bus.url, principal="dispatcher")
        try:
            return await examine_plugin(transport, "dispatcher", name, wishes)
        finally:
            await transport.close()

    return asyncio.run(examine())


def failed(report: Report) -> list[str]:
    return [f"{f.point}: {f.seen}" for f in report.findings if f.status == "fail"]


def statuses(report: Report) -> dict[str, str]:
    return {finding.point: finding.status for finding in report.findings}


@pytest.mark.parametrize("name", PLUGINS)
def test_two_replicas_of_a_node_plugin_conform_and_share_the_calls(
    bus: Bus, folder: Path, name: str
) -> None:
    with (
        start(folder, PLUGINS[name], HOOKBUS_NATS_URL=bus.url) as one,
        start(folder, PLUGINS[name], HOOKBUS_NATS_URL=bus.url) as other,
    ):
        assert [answer(one)["state"], answer(other)["state"]] == ["bound", "bound"]
        report = examined(bus, name)

    assert failed(report) == []
    assert statuses(report)["queue"] == "pass"


@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_plugin_that_is_stopped_loses_nothing(
    bus: Bus, folder: Path, name: str, number: int
) -> None:
    with start(folder, PLUGINS[name], HOOKBUS_NATS_URL=bus.url) as process:
        answer(process)
        found = statuses(examined(bus, name, Wishes(stop=lambda: process.send(number))))
        code = process.wait()

    points = {point: status for point, status in found.items() if point.startswith("drain")}
    assert points == {"drain-goodbye": "pass", "drain-answers": "pass", "drain-gone": "pass"}
    assert code == 0
    assert name not in bus.plugins()


def test_the_node_emitter_hears_what_the_node_plugins_say(bus: Bus, folder: Path) -> None:
    with (
        start(folder, "plugin.mjs", HOOKBUS_NATS_URL=bus.url) as plugin,
        start(folder, "tiny.mjs", HOOKBUS_NATS_URL=bus.url) as tiny,
    ):
        answer(plugin), answer(tiny)
        bus.wait_served()
        masked = emit(folder, bus.url, "message_received", json.dumps(MAIL))
        private = emit(folder, bus.url, "message_received", '{"text": "PRIVATE KEY"}')
        refused = emit(folder, bus.url, "message_received", '{"text": 5}')
        signed = emit(folder, bus.url, "response_generated", '{"text": "Hello"}')
        plugin.stop(signal.SIGKILL)
        dead = emit(folder, bus.url, "message_received", json.dumps(MAIL))

    assert masked == {"outcome": "intercept", "data": {**MAIL, "text": "write to [email]"}}
    assert (private["outcome"], private["code"]) == ("block", "secret_found")
    assert (refused["outcome"], refused["pointer"]) == ("refused", "/data/text")
    assert signed == {"outcome": "intercept", "data": {"text": "Hello (signed)"}}
    assert (dead["outcome"], dead["code"]) == ("block", "no_responders")


def test_the_node_plugin_is_told_of_its_settings(bus: Bus, folder: Path) -> None:
    def masked() -> bool:
        heard = emit(folder, bus.url, "message_received", json.dumps(MAIL))
        return bool(heard.get("data") == {**MAIL, "text": "write to ***"})

    with start(folder, "plugin.mjs", HOOKBUS_NATS_URL=bus.url) as process:
        answer(process)
        settings = {"plugins": {"mask-emails": {"config": {"mask": "***"}}}}
        tree = {"mode": "development", **settings}
        assert "generation" in bus.control("apply", settings=tree)
        eventually(masked)


def test_node_plugins_announce_themselves_again_when_the_broker_is_back(
    bus: Bus, folder: Path
) -> None:
    with (
        start(folder, "plugin.mjs", HOOKBUS_NATS_URL=bus.url) as plugin,
        start(folder, "tiny.mjs", HOOKBUS_NATS_URL=bus.url) as tiny,
    ):
        answer(plugin), answer(tiny)
        os.kill(children(bus.process.pid)["broker"], signal.SIGKILL)

        assert [answer(plugin)["state"], answer(tiny)["state"]] == ["bound", "bound"]


def test_a_node_plugin_ends_though_its_broker_is_gone(
    folder: Path, own_broker: EmbeddedBroker
) -> None:
    async def is_up() -> bool:
        transport = await NatsTransport.connect(own_broker.url, principal="test")
        try:
            return bool(await presence.ask(transport, "PING", "mask-emails"))
        finally:
            await transport.close()

    with start(folder, "plugin.mjs", HOOKBUS_NATS_URL=own_broker.url) as process:
        eventually(lambda: asyncio.run(is_up()))
        own_broker.stop()

        assert process.stop() == 1


def test_the_node_emitter_keeps_the_protocol(folder: Path) -> None:
    report = asyncio.run(examine_emitter(["node", str(folder / "emitter.mjs")]))

    assert [f for f in report.findings if f.status != "pass"] == []


def test_the_node_programs_have_credentials_on_a_secured_bus(folder: Path, tmp_path: Path) -> None:
    with up(tmp_path, "--no-bundled", "--secure") as bus:
        made = {}
        for kind, name in (("plugin", "mask-emails"), ("emitter", "chat")):
            words = ("credentials", "create", kind, name, "--folder")
            done = bus.run(*words, str(bus.data_dir / "credentials"))
            assert done.returncode == 0, done.stderr
            made[kind] = str(bus.data_dir / "credentials" / f"{name}.json")

        def heard() -> Any:
            said = emit(
                folder, bus.url, "message_received", json.dumps(MAIL), HOOKBUS_CREDS=made["emitter"]
            )
            return said if said["outcome"] == "intercept" else None

        variables = {"HOOKBUS_NATS_URL": bus.url, "HOOKBUS_CREDS": made["plugin"]}
        with start(folder, "plugin.mjs", **variables) as process:
            assert answer(process)["state"] == "bound"
            masked = eventually(heard)
        nobody = emit(folder, bus.url, "message_received", json.dumps(MAIL))

    assert masked["data"] == {**MAIL, "text": "write to [email]"}
    assert nobody["outcome"] == "unavailable"


def test_the_examples_name_one_version_of_one_package_and_are_short() -> None:
    package = json.loads((NODE / "package.json").read_text())

    [(name, version)] = package["dependencies"].items()
    assert name == "@nats-io/transport-node"
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert not list(NODE.glob("*lock*"))
    lines = {file.name: len(file.read_text().splitlines()) for file in NODE.glob("*.mjs")}
    assert lines["tiny.mjs"] <= 20
    assert max(lines.values()) <= 100


def test_an_emitter_needs_no_broker_to_say_so(folder: Path, own_broker: EmbeddedBroker) -> None:
    own_broker.stop()

    said = emit(folder, own_broker.url, "message_received", json.dumps(MAIL))

    assert said["outcome"] == "unavailable"
