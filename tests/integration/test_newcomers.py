"""A newcomer's mistakes: what is said where each happens, and by `hookbus doctor`.

docs/doctor.md has a row for each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.cli.doctor.command import examine
from hookbus.cli.doctor.finding import Finding
from hookbus.cli.doctor.greeting import greet, judge
from hookbus.config.connection import Connection, nats_options
from hookbus.emitter import Emitter
from hookbus.errors import ConnectFailed, Unavailable
from hookbus.presence import Endpoint, Presence, Service
from hookbus.transport import NatsTransport
from tests.integration.commands import Bus, eventually, hookbus, plugin, running, up
from tests.integration.servers import greeter, info, nats_server
from tests.integration.test_server_roles import serve

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

TLS = Path(__file__).parent / "tls"
STEADY = """\
from hookbus import Plugin

plugin = Plugin("NAME", version="1.0.0")

@plugin.hook("TYPE", phase="validate", name="hook")
async def check(event): ...

if __name__ == "__main__":
    plugin.run()
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOOKBUS_NATS_URL", "HOOKBUS_CREDS", "HOOKBUS_PRINCIPAL", "HOOKBUS_TLS_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("newcomers")
    source = STEADY.replace("NAME", "steady").replace("TYPE", "message_received")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "steady", source):
        yield bus


def doctor(url: str, **environ: str) -> dict[str, Finding]:
    """The doctor's problems, by what was looked at."""
    state = {"XDG_STATE_HOME": os.environ["XDG_STATE_HOME"]}
    found = examine(url, None, {**state, **environ})
    return {finding.check: finding for finding in found if finding.status == "problem"}


def said(findings: dict[str, Finding], check: str) -> str:
    finding = findings[check]
    assert finding.next
    return f"{finding.said} → {finding.next}"


def refusal(url: str, **connection: Any) -> str:
    """What a command or a role says that connects to *url*."""

    async def connect() -> None:
        options = nats_options(Connection(**connection))
        transport = await NatsTransport.connect(url, connect_timeout=1.0, options=options)
        await transport.close()

    with pytest.raises(ConnectFailed) as caught:
        asyncio.run(connect())
    return str(caught.value)


def log_of(role: str, url: str, words: str, folder: Path, *options: str) -> str:
    """What a role logs, once *words* are in it."""
    with running([*serve(role), *options], folder, HOOKBUS_NATS_URL=url) as process:
        eventually(lambda: words in process.errors.read_text())
    text = process.errors.read_text()
    assert "Traceback" not in text
    return text


# the command itself


def test_a_bus_that_is_well_is_exit_code_0_and_every_line_fits_80_columns(bus: Bus) -> None:
    # the first on this bus: others leave traces of their mistakes on it
    done = bus.run("doctor")
    as_json = json.loads(bus.run("doctor", "--json").stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.splitlines()[-1] == "no problem found"
    assert as_json["ok"] is True
    assert {check["status"] for check in as_json["checks"]} == {"ok"}


# the connection


def test_a_host_that_nobody_knows_is_said() -> None:
    url = "nats://no-such-host.invalid:4222"

    assert "the host is not known; " in refusal(url)
    assert "is not known → set HOOKBUS_NATS_URL" in said(doctor(url), "broker")


def test_where_nothing_listens_it_is_said_how_to_start_one() -> None:
    url = "nats://127.0.0.1:1"

    assert "connection refused; start one with 'hookbus up', or set HOOKBUS_NATS_URL" in refusal(
        url
    )
    assert "nothing listens there → start one with 'hookbus up'" in said(doctor(url), "broker")


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH\r\n"])
def test_another_kind_of_server_on_that_port_is_recognised(greeting: bytes) -> None:
    with greeter(greeting) as port:
        url = f"nats://127.0.0.1:{port}"
        words, line = refusal(url), said(doctor(url), "broker")

    assert re.search("no NATS server|no connection", words)
    assert "HOOKBUS_NATS_URL" in words
    assert "does not speak NATS (process " in line


def test_a_url_that_is_none_is_said_with_what_was_expected() -> None:
    done = hookbus("plugins", url="http://127.0.0.1:8080")

    assert done.returncode == 2
    assert "expected nats://host:port or tls://host:port" in done.stderr
    environ = {"HOOKBUS_NATS_URL": "http://127.0.0.1:8080"}
    assert "expected nats://host:port" in said(doctor("", **environ), "environment")


def test_credentials_that_are_missing_or_wrong_are_two_things(tmp_path: Path) -> None:
    config = 'authorization { user: "chat", password: "secret" }\njetstream {store_dir: "{folder}"}'
    with nats_server(tmp_path, config) as port:
        none, wrong = f"nats://127.0.0.1:{port}", f"nats://chat:other@127.0.0.1:{port}"
        missing, refused = refusal(none), refusal(wrong)
        lines = said(doctor(none), "login"), said(doctor(wrong), "login")

    assert "wants credentials" in missing
    assert "set HOOKBUS_CREDS" in missing
    assert "refused the credentials" in refused
    assert "check HOOKBUS_CREDS" in refused
    assert "set HOOKBUS_CREDS" in lines[0]
    assert "refused the credentials" in lines[1]
    assert "other" not in refused + lines[1]


@pytest.mark.parametrize(
    ("certificate", "connection", "words"),
    [
        ("cert.pem", {}, "set HOOKBUS_TLS_CA"),
        ("expired.pem", {"tls_ca": TLS / "expired.pem"}, "expired); renew it on the server"),
    ],
)
def test_a_certificate_that_is_not_trusted_or_has_expired_is_said(
    tmp_path: Path, certificate: str, connection: dict[str, Any], words: str
) -> None:
    config = f'tls {{ cert_file: "{TLS / certificate}", key_file: "{TLS / "key.pem"}" }}\n'
    with nats_server(tmp_path, config) as port:
        url = f"tls://127.0.0.1:{port}"
        message, line = refusal(url, **connection), said(doctor(url), "login")

    assert words in message
    assert "certificate is refused" in line


def test_tls_that_the_server_has_not_is_said(nats_broker: EmbeddedBroker) -> None:
    url = nats_broker.url.replace("nats:", "tls:")

    assert "TLS was asked for, and the server has none; switch it on" in refusal(url)
    assert "the server has none → switch it on in the server" in said(doctor(url), "tls")


def test_an_old_server_is_said_by_whoever_connects(caplog: pytest.LogCaptureFixture) -> None:
    async def connect(url: str) -> None:
        transport = await NatsTransport.connect(url)
        await transport.close()

    with greeter(info(version="2.9.25", jetstream=True)) as port:
        url = f"nats://127.0.0.1:{port}"
        with caplog.at_level(logging.WARNING):
            asyncio.run(connect(url))
        [finding, *_] = judge([asyncio.run(greet(url))], Connection())

    assert "nats-server 2.9.25, expected 2.11 or newer: update the server" in caplog.text
    assert finding.status == "problem"
    assert "nats-server 2.9.25, expected 2.11 or newer" in finding.said


# JetStream


def test_a_server_without_jetstream_is_said_by_both_roles(tmp_path: Path) -> None:
    with nats_server(tmp_path, "") as port:
        url = f"nats://127.0.0.1:{port}"
        logs = [log_of(role, url, "JetStream", tmp_path) for role in ("registry", "dispatcher")]
        line = said(doctor(url), "jetstream")

    for log in logs:
        assert "JetStream is off: start nats-server with -js" in log
    assert "JetStream is off → start nats-server with -js" in line


def test_a_storage_limit_that_is_too_small_is_said(tmp_path: Path) -> None:
    config = 'jetstream {store_dir: "{folder}/js", max_file_store: 100MB}\n'
    with nats_server(tmp_path, config) as port:
        url = f"nats://127.0.0.1:{port}"
        options = ("--default-mode", "development")
        log = log_of("registry", url, "HOOKBUS_DECISIONS", tmp_path, *options)
        line = said(doctor(url), "streams")

    assert "insufficient storage resources available: raise the server's max_file_store" in log
    assert "not there: HOOKBUS_DECISIONS" in line
    assert "max_file_store" in line


def test_messages_that_are_too_small_for_the_largest_event_are_said(tmp_path: Path) -> None:
    config = 'jetstream {store_dir: "{folder}/js"}\nmax_payload: 65536\n'
    with nats_server(tmp_path, config) as port:
        url = f"nats://127.0.0.1:{port}"
        command = [*serve("registry"), "--default-mode", "development"]
        with running(command, tmp_path, HOOKBUS_NATS_URL=url) as process:
            eventually(lambda: "max_payload" in process.errors.read_text())
            line = eventually(lambda: said(doctor(url), "sizes"), KeyError)

    assert "messages of at most 65536 bytes → set its max_payload to 589824 or more" in line
    assert process.errors.read_text().count("max_payload to 589824") == 1


# roles


def test_without_registry_and_dispatcher_each_is_missed_by_name(
    own_broker: EmbeddedBroker,
) -> None:
    async def emit() -> None:
        async with Emitter.connect(own_broker.url, source="/test", timeout=1.0) as emitter:
            await emitter.emit("message_received", {"text": "hi"})

    with pytest.raises(Unavailable, match="no dispatcher is listening; start one: 'hookbus up'"):
        asyncio.run(emit())
    found = doctor(own_broker.url)

    assert "start one: 'hookbus serve registry'" in said(found, "registry")
    assert "start one: 'hookbus serve dispatcher'" in said(found, "dispatcher")


def test_a_registry_that_waits_for_its_first_settings_says_so(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with running(serve("registry"), tmp_path, HOOKBUS_NATS_URL=own_broker.url) as process:
        eventually(lambda: "hookbus settings apply FILE" in process.errors.read_text())
        line = eventually(
            lambda: (
                found if "applied" in (found := said(doctor(own_broker.url), "registry")) else ""
            )
        )

    assert "no settings were ever applied" in line
    assert "→ hookbus settings apply FILE" in line


def speaking(name: str, version: str, data: dict[str, Any]) -> Service:
    return Service(
        name, version, "ff00ff00", endpoints=[Endpoint("x", "x", "q", data=lambda: data)]
    )


@pytest.mark.parametrize(
    ("service", "check", "words"),
    [
        (
            speaking("hookbus-dispatcher", "0.0.9", {"generation": 1}),
            "versions",
            "finish the upgrade",
        ),
        (
            speaking("hookbus-dispatcher", "0.1.0", {"generation": 0}),
            "dispatcher",
            "is in force, and dispatcher ff00ff00",
        ),
        (
            speaking("hookbus-registry", "0.1.0", {"generation": 1, "file": "file /theirs.toml"}),
            "registry",
            "two buses share this NATS account",
        ),
    ],
)
def test_roles_that_do_not_belong_together_are_told(
    bus: Bus, service: Service, check: str, words: str
) -> None:
    async def beside() -> dict[str, Finding]:
        transport = await NatsTransport.connect(bus.url, principal="dispatcher")
        services = [service]
        if check == "registry":
            services.append(
                speaking(
                    "hookbus-registry", "0.1.0", {"file": "file /ours.toml"} | {"generation": 1}
                )
            )
        presences = [Presence(transport, one) for one in services]
        try:
            for presence in presences:
                await presence.start()
            await transport.flush()
            return await asyncio.to_thread(doctor, bus.url)
        finally:
            for presence in presences:
                await presence.stop()
            await transport.close()

    assert words in said(asyncio.run(beside()), check)


# plugins


def test_a_misspelt_type_is_told_to_the_plugin_with_the_types_there_are(
    bus: Bus, tmp_path: Path
) -> None:
    script = tmp_path / "typo.py"
    script.write_text(STEADY.replace("NAME", "typo").replace("TYPE", "mesage_received"))
    command = [sys.executable, str(script)]
    with running(command, tmp_path, HOOKBUS_NATS_URL=bus.url) as process:
        eventually(lambda: "is refused" in process.errors.read_text())
        line = said(doctor(bus.url), "plugins")

    words = "'mesage_received' is not a type of this bus; known are message_received"
    assert words in process.errors.read_text()
    assert words in line


def test_two_plugins_with_one_name_are_told_to_the_second(bus: Bus, tmp_path: Path) -> None:
    script = tmp_path / "second.py"
    script.write_text(STEADY.replace("NAME", "steady").replace("TYPE", "tool_invoked"))
    command = [sys.executable, str(script)]
    with running(command, tmp_path, HOOKBUS_NATS_URL=bus.url) as process:
        eventually(lambda: "raise the version above 1.0.0" in process.errors.read_text())
        line = said(doctor(bus.url), "plugins")

    assert "steady: a replica is refused" in line
    assert "two plugins with one name?" in line


def test_a_plugin_that_died_is_told_with_what_to_do(bus: Bus, tmp_path: Path) -> None:
    source = STEADY.replace("NAME", "mortal").replace("TYPE", "response_generated")
    with plugin(bus, tmp_path, "mortal", source) as process:
        process.stop(9)
        reason = bus.emit("response_generated", {"text": "x"}).reason or ""
        line = said(doctor(bus.url), "plugins")
    bus.control("remove", plugin="mortal")
    removed = doctor(bus.url)

    assert "mortal" in reason
    assert "mortal is bound, and nothing answers" in line
    assert "hookbus plugins remove mortal" in line
    assert "plugins" not in removed  # as somebody wanted it


def test_without_a_broker_the_rest_is_still_looked_at() -> None:
    done = hookbus("doctor", "--json", url="nats://chat:secret@127.0.0.1:1")

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"]) == (1, False)
    checks = {check["check"]: check["status"] for check in answer["checks"]}
    assert checks["settings"] == checks["packages"] == checks["nats-server"] == "ok"
    assert checks["registry"] == checks["plugins"] == "unknown"
    assert "secret" not in done.stdout + done.stderr


def test_the_doctor_changes_nothing(bus: Bus) -> None:
    before = bus.control("history", n=1)["history"]
    for _ in range(3):
        doctor(bus.url)

    assert bus.control("history", n=1)["history"] == before
    assert not Path(os.environ["XDG_STATE_HOME"]).exists()
