"""`hookbus serve`: one role as a process, with the broker coming and going."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.errors import ControlError
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, Process, eventually, get, hookbus, running

pytestmark = pytest.mark.usefixtures("nats_server_program")


def serve(role: str) -> list[str]:
    return [*HOOKBUS, "serve", role, "--http", "127.0.0.1:0"]


@pytest.fixture(scope="module")
def registry_url(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("registry")) as broker:
        yield broker.url


@pytest.fixture(scope="module")
def registry(registry_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A registry that no test stops."""
    folder = tmp_path_factory.mktemp("registry")
    with running(serve("registry"), folder, HOOKBUS_NATS_URL=registry_url) as process:
        eventually(lambda: is_ready(process))
        yield process


def health_url(process: Process) -> str:
    """Where its health is, as its log says."""
    found = eventually(lambda: re.search(r"http://\S+?(?=/healthz)", process.errors.read_text()))
    return found[0]


def is_ready(process: Process) -> bool:
    return get(f"{health_url(process)}/readyz")[0] == 200


@pytest.mark.parametrize("role", ["registry", "dispatcher"])
def test_a_role_without_a_broker_is_alive_says_why_it_is_not_ready_and_ends_with_0(
    role: str, tmp_path: Path
) -> None:
    url = "nats://127.0.0.1:1"
    with running(serve(role), tmp_path, HOOKBUS_NATS_URL=url) as process:
        status, body = get(f"{health_url(process)}/healthz")
        ready, _ = get(f"{health_url(process)}/readyz")
        eventually(lambda: "no connection to" in process.errors.read_text())
        code = process.stop(signal.SIGTERM)

    log = process.errors.read_text()
    assert (status, body["role"], body["connected"], ready) == (200, role, False, 503)
    assert code == 0
    assert log.count("no connection to") == 1
    assert "Traceback" not in log


def test_roles_that_came_before_the_broker_become_ready_with_it(tmp_path: Path) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path / "data") as broker:
        url = broker.url
    environ = {"HOOKBUS_NATS_URL": url}
    (tmp_path / "hookbus.toml").write_text("timeout_ms = 900")
    with (
        running(serve("registry"), tmp_path, **environ) as registry,
        running(serve("dispatcher"), tmp_path, **environ) as dispatcher,
    ):
        assert get(f"{health_url(registry)}/readyz")[0] == 503
        assert get(f"{health_url(dispatcher)}/readyz")[0] == 503
        with EmbeddedBroker.start(data_dir=tmp_path / "data", port=int(url.rpartition(":")[2])):
            eventually(lambda: is_ready(registry) and is_ready(dispatcher))


def test_a_dispatcher_is_alive_and_not_ready_before_there_is_a_configuration(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    command = serve("dispatcher")
    with running(command, tmp_path, HOOKBUS_NATS_URL=own_broker.url) as process:
        eventually(lambda: get(f"{health_url(process)}/healthz")[0] == 200)

        assert get(f"{health_url(process)}/readyz")[0] == 503


def test_a_lost_broker_is_told_by_health(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    command = serve("registry")
    with running(command, tmp_path, HOOKBUS_NATS_URL=own_broker.url) as process:
        eventually(lambda: is_ready(process))
        own_broker.stop()

        eventually(lambda: get(f"{health_url(process)}/readyz")[0] == 503)
        assert get(f"{health_url(process)}/healthz")[0] == 200
        code = process.stop(signal.SIGTERM)

    assert code == 0
    assert "Traceback" not in process.errors.read_text()


def test_a_registry_on_a_broker_that_came_back_empty_makes_everything_again(
    tmp_path: Path,
) -> None:
    with EmbeddedBroker.start(data_dir=tmp_path / "first") as broker:
        url, port = broker.url, broker.port
        (tmp_path / "hookbus.toml").write_text("timeout_ms = 900")
        registry = Process(serve("registry"), tmp_path, HOOKBUS_NATS_URL=url)
        try:
            eventually(lambda: is_ready(registry))
            broker.stop()
            with EmbeddedBroker.start(data_dir=tmp_path / "second", port=port):
                listed = eventually(lambda: asyncio.run(_list(url)), ControlError)
        finally:
            registry.close()

    assert listed["generation"] >= 1


async def _list(url: str) -> dict[str, Any]:
    transport = await NatsTransport.connect(url, principal="ops")
    try:
        return await request(transport, "ops", "list")
    finally:
        await transport.close()


def test_a_long_request_does_not_hold_up_others_and_is_answered_at_the_end(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async def scenario(process: Process) -> ControlError:
        transport = await NatsTransport.connect(own_broker.url, principal="ops")
        waiting = asyncio.ensure_future(
            request(transport, "ops", "wait_generation", generation=1_000, timeout_ms=1_000)
        )
        await transport.flush()
        await request(transport, "ops", "list")
        assert not waiting.done()
        process.send(signal.SIGTERM)
        with pytest.raises(ControlError) as refused:
            await waiting
        await transport.close()
        return refused.value

    command = serve("registry")
    with running(command, tmp_path, HOOKBUS_NATS_URL=own_broker.url) as process:
        eventually(lambda: is_ready(process))
        error = asyncio.run(scenario(process))
        code = process.wait()

    assert error.code == "timeout"
    assert code == 0


def test_only_inboxes_are_answered(registry: Process, registry_url: str) -> None:
    async def scenario() -> list[bytes]:
        transport = await NatsTransport.connect(registry_url, principal="ops")
        heard: list[bytes] = []
        await transport.subscribe("hookbus.elsewhere", lambda message: heard.append(message.data))
        await transport.publish("hookbus.ctl.ops.list", b'{"v":1}', reply="hookbus.elsewhere")
        await request(transport, "ops", "list")
        await transport.flush()
        await transport.close()
        return heard

    assert asyncio.run(scenario()) == []


def test_a_body_that_is_no_json_is_answered(registry: Process, registry_url: str) -> None:
    async def scenario() -> tuple[Any, Any]:
        transport = await NatsTransport.connect(registry_url, principal="ops")
        control = await transport.request("hookbus.ctl.ops.list", b"\xff{", timeout=5.0)
        announce = await transport.request("hookbus.announce.judge", b"\xff{", timeout=5.0)
        await transport.close()
        return json.loads(control.data), json.loads(announce.data)

    control, announce = asyncio.run(scenario())

    assert control["error"]["code"] == "invalid_request"
    assert announce["state"] == "refused"


def test_the_registry_answers_the_service_api(registry: Process, registry_url: str) -> None:
    async def scenario() -> list[dict[str, Any]]:
        transport = await NatsTransport.connect(registry_url, principal="ops")
        await request(transport, "ops", "list")
        found = await presence.ask(transport, "STATS", "hookbus-registry", window=0.5)
        await transport.close()
        return found

    [stats] = asyncio.run(scenario())

    assert stats["metadata"]["pid"] == str(registry.pid)
    announce, control = stats["endpoints"]
    assert (announce["name"], control["name"]) == ("announce", "control")
    assert control["num_requests"] >= 1


def test_logs_are_one_json_object_a_line_on_request(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    command = serve("registry")
    environ = {"HOOKBUS_NATS_URL": own_broker.url, "HOOKBUS_LOG": "json"}
    (tmp_path / "hookbus.toml").write_text("timeout_ms = 900")
    with running(command, tmp_path, **environ) as process:
        eventually(lambda: "registry is on the bus" in process.errors.read_text())

    records = [json.loads(line) for line in process.errors.read_text().splitlines()]
    assert {record["level"] for record in records} == {"info"}


def test_a_log_level_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    command = serve("dispatcher")
    with running(command, tmp_path, HOOKBUS_LOG_LEVEL="loud") as process:
        assert process.wait() == 2

    said = process.errors.read_text()
    assert "HOOKBUS_LOG_LEVEL='loud': expected one of debug, info, warning, error" in said


def test_settings_for_a_dispatcher_are_refused(tmp_path: Path) -> None:
    done = hookbus("serve", "dispatcher", "--settings", str(tmp_path / "x.toml"))

    assert done.returncode == 2
    assert "--settings is for the registry" in done.stderr


def test_settings_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    done = hookbus("serve", "registry", "--settings", str(tmp_path / "x.toml"))

    assert done.returncode == 2
    assert done.stderr.startswith(f"hookbus: {tmp_path / 'x.toml'}: cannot be read")


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ('type = "tool_invoked"\nphase = "validate"\nwhen = ["data.("]', "h.when[0]: "),
        ("priority = 5", "h.type: missing"),
    ],
)
def test_a_registry_that_cannot_bind_whom_its_settings_name_refuses_to_start(
    own_broker: EmbeddedBroker, tmp_path: Path, said: str, place: str
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text(f'mode = "production"\n[plugins.guard.hooks.h]\n{said}\n')

    done = hookbus(
        *("serve", "registry", "--http", "127.0.0.1:0", "--settings", str(file)),
        url=own_broker.url,
    )

    assert done.returncode == 2, done.stderr
    where = rf"hookbus: {re.escape(str(file))}:\d: plugins\.guard\.hooks\."
    assert re.search(f"^{where}{re.escape(place)}", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the owner of a port")
def test_a_taken_port_is_refused_and_its_owner_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = hookbus("serve", "dispatcher", "--http", address)

    assert done.returncode == 2
    assert "is taken by process" in done.stderr


@pytest.mark.parametrize("address", ["8080", "localhost", "127.0.0.1:http", "127.0.0.1:99999"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    done = hookbus("serve", "dispatcher", "--http", address)

    assert done.returncode == 2
    assert f"expected HOST:PORT such as 127.0.0.1:8080, got {address!r}" in done.stderr
