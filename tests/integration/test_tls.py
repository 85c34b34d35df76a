"""TLS to a real nats-server, with a certificate of its own: never plain text by accident."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus import Emitter, SyncEmitter, Unavailable, subjects
from hookbus.broker import EmbeddedBroker, find_nats_server
from hookbus.config.connection import Connection, tls_context
from hookbus.errors import ConnectFailed, SettingsError
from hookbus.processes import spawn
from hookbus.transport import NatsTransport
from tests.integration.test_nats_transport import SOON, free_port

#: Self-signed for 127.0.0.1 until 2126; the key is for nothing but these tests.
FILES = Path(__file__).parent / "tls"
CERTIFICATE, KEY = FILES / "cert.pem", FILES / "key.pem"

CONFIG = """
host: "127.0.0.1"
port: {port}
{extra}
tls {{ cert_file: "{certificate}", key_file: "{key}" }}
"""
PLUGIN = """
from hookbus import HookEvent, Plugin

plugin = Plugin("a", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def hook(event: HookEvent): ...

plugin.run()
"""


@pytest.fixture(params=["", "allow_non_tls: true"], ids=["required", "offered"])
def tls_port(
    nats_server_program: None, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[int]:
    """A nats-server that requires TLS, and one that only offers it."""
    port = free_port()
    config = tmp_path / "tls.conf"
    config.write_text(
        CONFIG.format(port=port, extra=request.param, certificate=CERTIFICATE, key=KEY)
    )
    child = spawn([find_nats_server(), "-c", config])
    yield port
    child.terminate(SOON)


def trusting() -> dict[str, ssl.SSLContext | None]:
    return {"tls": tls_context(Connection(tls_ca=CERTIFICATE))}


def is_encrypted(transport: NatsTransport) -> bool:
    nats_transport = transport._client._transport
    assert nats_transport is not None
    return nats_transport._io_writer.get_extra_info("ssl_object") is not None


@pytest.mark.parametrize("scheme", ["tls", "nats"])
def test_a_connection_with_the_servers_authority_is_encrypted(tls_port: int, scheme: str) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(
            f"{scheme}://127.0.0.1:{tls_port}", options=trusting(), connect_timeout=SOON
        )
        try:
            assert is_encrypted(transport)
        finally:
            await transport.close()

    asyncio.run(scenario())


def test_a_certificate_of_nobody_known_is_refused(tls_port: int) -> None:
    url = f"tls://127.0.0.1:{tls_port}"

    with pytest.raises(ConnectFailed, match="certificate verify failed"):
        asyncio.run(NatsTransport.connect(url, connect_timeout=1.0))


@pytest.mark.parametrize(
    ("scheme", "options"), [("tls", {}), ("tls", trusting()), ("nats", trusting())]
)
def test_a_server_without_tls_is_refused_where_tls_was_asked_for(
    nats_broker: EmbeddedBroker, scheme: str, options: dict[str, ssl.SSLContext]
) -> None:
    url = f"{scheme}://127.0.0.1:{nats_broker.port}"

    with pytest.raises(ConnectFailed, match="TLS was asked for, and the server has none"):
        asyncio.run(NatsTransport.connect(url, connect_timeout=0.3, options=options))


def test_emitters_refuse_a_server_without_tls(nats_broker: EmbeddedBroker) -> None:
    url = f"tls://127.0.0.1:{nats_broker.port}"

    async def connect() -> None:
        async with Emitter.connect(url, source="/x", connect_timeout=0.3):
            pass

    with pytest.raises(ConnectFailed, match="TLS was asked for"):
        asyncio.run(connect())
    with (
        SyncEmitter.connect(url, source="/x", connect_timeout=0.3) as bus,
        pytest.raises(Unavailable, match="TLS was asked for"),
    ):
        bus.emit("message_received", {"text": "hi"})


def test_a_plugin_takes_its_authority_from_the_environment(tls_port: int) -> None:
    url = f"tls://127.0.0.1:{tls_port}"

    async def scenario() -> None:
        transport = await NatsTransport.connect(url, options=trusting(), connect_timeout=SOON)
        announced = asyncio.Event()
        await transport.subscribe(subjects.ANNOUNCE_ALL, lambda m: announced.set())
        await transport.flush()
        environ = {**os.environ, "HOOKBUS_NATS_URL": url, "HOOKBUS_TLS_CA": str(CERTIFICATE)}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PLUGIN, env=environ)
        async with asyncio.timeout(2 * SOON):
            await announced.wait()
        process.kill()
        await process.wait()
        await transport.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")

    for connection in (
        Connection(tls_ca=wrong),
        Connection(tls_ca=tmp_path / "none.pem"),
        Connection(tls_cert=wrong, tls_key=KEY),
    ):
        with pytest.raises(SettingsError, match=r"expected PEM files, got '.*(wrong|none)\.pem"):
            tls_context(connection)


def test_without_files_the_url_decides() -> None:
    assert tls_context(Connection()) is None


def test_a_certificate_of_ones_own_is_read() -> None:
    assert tls_context(Connection(tls_cert=CERTIFICATE, tls_key=KEY)) is not None
