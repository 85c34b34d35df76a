"""docs/operate.md: its commands are real, and its story is played."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker, find_nats_server
from hookbus.cli.settings.file import read_file
from hookbus.processes import spawn
from tests.docs.page import PAGE, Page, read_page
from tests.integration.commands import HOOKBUS, eventually, get, hookbus, running
from tests.integration.test_server_roles import health_url, is_ready, serve
from tests.integration.worlds import free_port

pytestmark = pytest.mark.usefixtures("nats_server_program")

GEO = '[plugins.geo-policy.hooks.message-received]\ntype = "message_received"\nphase = "validate"\n'


@pytest.fixture(scope="module")
def operate() -> Page:
    return read_page(PAGE.with_name("operate.md"))


@pytest.fixture(scope="module")
def url(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A production bus without settings."""
    folder = tmp_path_factory.mktemp("operate")
    with EmbeddedBroker.start(data_dir=folder / "data") as broker:
        environ = {"HOOKBUS_NATS_URL": broker.url}
        with (
            running(serve("registry"), folder, **environ) as registry,
            running(serve("dispatcher"), folder, **environ),
        ):
            eventually(lambda: is_ready(registry))
            assert get(f"{health_url(registry)}/healthz")[1]["waiting"] is True
            yield broker.url


def run(url: str, line: str) -> subprocess.CompletedProcess[str]:
    tool, *words = shlex.split(line, comments=True)
    assert tool == "hookbus"
    return hookbus(*words, url=url)


def test_four_commands_from_a_complaint_to_the_next_event_that_passes(
    url: str, operate: Page, tmp_path: Path
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text("timeout_ms = 800\n")
    run(url, f"hookbus settings apply {file}")
    file.write_text(f"timeout_ms = 800\n{GEO}")
    run(url, f"hookbus settings apply {file}")
    emit = operate.blocks["night"].splitlines()[-1]
    complaint = json.loads(run(url, f"{emit} --json").stdout)
    explain, history, rollback, emit = operate.blocks["night"].splitlines()
    explain = re.sub(r"[0-9a-f-]{36}", complaint["id"], explain)

    explained = run(url, explain)
    listed = run(url, history)
    back = run(url, rollback)
    again = run(url, emit)

    assert complaint["outcome"] == "block"
    assert [done.returncode for done in (explained, listed, back, again)] == [0, 0, 0, 0]
    assert "geo-policy" in explained.stdout
    assert "no_responders" in explained.stdout
    assert "generation 2: settings apply by operator" in explained.stdout
    assert "operator: settings apply" in listed.stdout
    assert "plugins.geo-policy.hooks.message-received.phase: not said → validate" in listed.stdout
    assert "the settings of 1 are in force again" in back.stdout
    assert again.stdout.startswith("✓ continue")


def test_the_commands_that_apply_a_file_do_what_the_page_says(
    url: str, operate: Page, tmp_path: Path
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text(operate.blocks["settings"])
    lines = operate.blocks["apply"].replace("hookbus.toml", str(file)).splitlines()

    check, dry, applied = (run(url, line) for line in lines)

    assert (check.returncode, dry.returncode, applied.returncode) == (0, 0, 0), applied.stderr
    assert "nothing was applied: dry run" in dry.stdout
    assert "in force since generation" in applied.stdout


def test_the_roles_start_as_the_page_says(
    own_broker: EmbeddedBroker, operate: Page, tmp_path: Path
) -> None:
    (tmp_path / "hookbus.toml").write_text("timeout_ms = 800\n")
    environ = {"HOOKBUS_NATS_URL": own_broker.url}
    commands = [
        [*HOOKBUS, *re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", line).split()[1:]]
        for line in operate.blocks["roles"].splitlines()
    ]
    with (
        running(commands[0], tmp_path, **environ) as registry,
        running(commands[1], tmp_path, **environ) as dispatcher,
    ):
        eventually(lambda: is_ready(registry) and is_ready(dispatcher))


def test_the_settings_of_the_page_can_be_used(operate: Page, tmp_path: Path) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text(operate.blocks["settings"])

    settings = read_file(file)

    assert settings.plugins["geo-policy"].config["api_key"] == "env:GEO_API_KEY"


def test_every_code_block_of_the_page_is_tested(operate: Page) -> None:
    tested = {"night", "roles", "apply", "settings", "identity", "server"}
    assert operate.blocks.keys() == tested
    assert operate.text.count("```") == 2 * len(operate.blocks)


def test_credentials_and_the_servers_configuration_are_as_the_page_shows(
    operate: Page, tmp_path: Path
) -> None:
    """A server of one's own, the roles with their files, and a viewer who may only look."""
    for line in operate.blocks["identity"].splitlines():
        done = run("", line.replace("--folder creds", f"--folder {tmp_path / 'creds'}"))
        assert done.returncode == 0, done.stderr
    port = free_port()
    config = tmp_path / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\n{operate.blocks["server"]}')
    broker = spawn([find_nats_server(), "-c", config], cwd=tmp_path)
    environ = {"HOOKBUS_NATS_URL": f"nats://127.0.0.1:{port}"}
    creds = {name: str(tmp_path / "creds" / f"{name}.json") for name in ("registry-1", "support")}
    try:
        with running(
            serve("registry"), tmp_path, HOOKBUS_CREDS=creds["registry-1"], **environ
        ) as registry:
            eventually(lambda: is_ready(registry))
            as_support = {"url": environ["HOOKBUS_NATS_URL"], "creds": creds["support"]}
            looked = hookbus("settings", "history", **as_support)
            changed = hookbus("plugins", "remove", "geo-policy", **as_support)
    finally:
        broker.terminate(1.0)

    assert (looked.returncode, looked.stdout[:13]) == (0, "no generation")
    assert changed.returncode != 0
    assert "permissions" in changed.stderr
