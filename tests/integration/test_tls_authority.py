"""TLS with an authority: certificates that do not hold end the start of whoever connects.

The files are for nothing but these tests, and hold until 2126: an authority, and by it a server's
certificate, one that expired in 2025, one of another host, and a client's; a stranger's is by
another authority.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hookbus import Emitter
from hookbus.broker import find_nats_server
from hookbus.config.connection import Connection, nats_options
from hookbus.errors import ConnectFailed, ConnectRefused
from hookbus.identity.folder import CredentialsFolder
from hookbus.processes import spawn
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, Process, eventually, get, running
from tests.integration.test_nats_transport import SOON, free_port
from tests.integration.test_tls import PLUGIN, is_encrypted

pytestmark = pytest.mark.usefixtures("nats_server_program")

FILES = Path(__file__).parent / "tls"
AUTHORITY = FILES / "authority.pem"

CONFIG = """
host: "127.0.0.1"
port: {port}
jetstream {{ store_dir: {store} }}
tls {{ cert_file: "{cert}", key_file: "{key}", {verify} }}
{accounts}
"""


@contextmanager
def server(
    folder: Path, certificate: str, *, asks_back: bool = False, accounts: str = ""
) -> Iterator[str]:
    """Run a nats-server with that certificate; *asks_back* demands one of the client's."""
    port, config = free_port(), folder / f"{certificate}.conf"
    config.write_text(
        CONFIG.format(
            port=port,
            store=json.dumps(str(folder / "store")),
            cert=FILES / f"{certificate}.pem",
            key=FILES / f"{certificate}-key.pem",
            verify=f'verify: true, ca_file: "{AUTHORITY}"' if asks_back else "",
            accounts=accounts,
        )
    )
    child = spawn([find_nats_server(), "-c", config])
    try:
        yield f"tls://127.0.0.1:{port}"
    finally:
        child.terminate(SOON)


def trusting(certificate: str = "") -> Connection:
    return Connection(
        tls_ca=AUTHORITY,
        tls_cert=FILES / f"{certificate}.pem" if certificate else None,
        tls_key=FILES / f"{certificate}-key.pem" if certificate else None,
    )


async def is_let_in(url: str, connection: Connection) -> bool:
    transport = await NatsTransport.connect(
        url, options=nats_options(connection), connect_timeout=SOON
    )
    try:
        return is_encrypted(transport)
    finally:
        await transport.close()


#: certificate → (what is wrong with it, a word of what to do).
WRONG = {
    "outdated": ("certificate has expired", "renew it"),
    "elsewhere": ("certificate is not valid for '127.0.0.1'", "a name in the URL"),
    "stranger": ("unable to get local issuer certificate", "HOOKBUS_TLS_CA"),
}


@pytest.fixture(scope="module")
def wrong_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("wrong")
    with (
        server(folder, "outdated") as outdated,
        server(folder, "elsewhere") as elsewhere,
        server(folder, "stranger") as stranger,
    ):
        yield {"outdated": outdated, "elsewhere": elsewhere, "stranger": stranger}


def test_a_certificate_by_the_authority_is_trusted(tmp_path: Path) -> None:
    with server(tmp_path, "server") as url:
        assert asyncio.run(is_let_in(url, trusting()))


@pytest.mark.parametrize("certificate", list(WRONG))
def test_a_certificate_that_does_not_hold_is_refused_at_once(
    wrong_urls: dict[str, str], certificate: str
) -> None:
    with pytest.raises(ConnectRefused) as refused:
        asyncio.run(is_let_in(wrong_urls[certificate], trusting()))

    assert all(words in str(refused.value) for words in WRONG[certificate])


@pytest.mark.parametrize("certificate", list(WRONG))
def test_an_emitter_refuses_it_too(wrong_urls: dict[str, str], certificate: str) -> None:
    async def scenario() -> None:
        url = wrong_urls[certificate]
        async with Emitter.connect(url, source="/x", tls_ca=AUTHORITY, connect_timeout=SOON):
            pass

    with pytest.raises(ConnectRefused, match=re.escape(WRONG[certificate][0])):
        asyncio.run(scenario())


def test_a_role_a_command_and_a_plugin_refuse_it_in_one_line(
    wrong_urls: dict[str, str], tmp_path: Path
) -> None:
    environ = {"HOOKBUS_NATS_URL": wrong_urls["outdated"], "HOOKBUS_TLS_CA": str(AUTHORITY)}
    script = tmp_path / "plugin.py"
    script.write_text(PLUGIN)
    commands = {
        2: [*HOOKBUS, "serve", "dispatcher", "--http", "127.0.0.1:0"],
        5: [*HOOKBUS, "plugins"],
        1: [sys.executable, str(script)],
    }
    for code, command in commands.items():
        with running(command, tmp_path, **environ) as process:
            assert process.wait() == code, process.errors.read_text()
            last = process.errors.read_text().splitlines()[-1]
        assert "certificate verify failed: certificate has expired" in last
        assert "Traceback" not in process.errors.read_text()


@pytest.mark.parametrize(("certificate", "is_known"), [("client", True), ("stranger", False)])
def test_a_server_that_asks_for_a_certificate_lets_in_whom_the_authority_knows(
    tmp_path: Path, certificate: str, is_known: bool
) -> None:
    with server(tmp_path, "server", asks_back=True) as url:
        if is_known:
            assert asyncio.run(is_let_in(url, trusting(certificate)))
            return
        with pytest.raises(ConnectFailed):
            asyncio.run(NatsTransport.connect(url, options=nats_options(trusting(certificate))))
        with pytest.raises(ConnectFailed):
            asyncio.run(NatsTransport.connect(url, options=nats_options(trusting())))


def test_roles_emitters_and_commands_work_over_tls_with_credentials(tmp_path: Path) -> None:
    """As in production: a server that is not ours, which includes the account file."""
    folder = CredentialsFolder(tmp_path / "credentials")
    folder.ensure([("registry", "registry"), ("dispatcher", "dispatcher"), ("operator", "ops")])
    folder.ensure([("emitter", "chat")])
    settings = tmp_path / "hookbus.toml"
    settings.write_text('mode = "production"\n')
    with server(
        tmp_path, "server", accounts='accounts { include "credentials/account.conf" }'
    ) as url:

        def environ(name: str) -> dict[str, str]:
            creds = str(folder.file_of(name))
            return {
                "HOOKBUS_NATS_URL": url,
                "HOOKBUS_CREDS": creds,
                "HOOKBUS_TLS_CA": str(AUTHORITY),
            }

        serve = [*HOOKBUS, "serve"]
        http = ["--http", "127.0.0.1:0"]
        registry = [*serve, "registry", *http, "--settings", str(settings)]
        with (
            running(registry, tmp_path, **environ("registry")) as first,
            running([*serve, "dispatcher", *http], tmp_path, **environ("dispatcher")) as second,
        ):
            eventually(lambda: is_ready(first) and is_ready(second))
            emit = [*HOOKBUS, "emit", "message_received", "--data", '{"text": "hi"}']
            for command, name in ((emit, "chat"), ([*HOOKBUS, "plugins"], "ops")):
                with running(command, tmp_path, **environ(name)) as process:
                    assert process.wait() == 0, process.errors.read_text()


def is_ready(process: Process) -> bool:
    found = re.search(r"http://\S+?(?=/healthz)", process.errors.read_text())
    return found is not None and get(f"{found[0]}/readyz")[0] == 200
