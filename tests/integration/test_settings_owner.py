"""Whose word the settings are: a file's that a registry follows, or what operators apply."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from tests.integration.commands import HOOKBUS, Process, eventually, get, hookbus, running, up
from tests.integration.test_server_roles import health_url, is_ready, serve

pytestmark = pytest.mark.usefixtures("nats_server_program")

SECRETIVE = """
from hookbus import Block, HookEvent, Plugin

plugin = Plugin("secretive", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=2000)
async def check(event: HookEvent):
    return Block(f"knows {len(plugin.config['key'])} characters")

plugin.run()
"""
NAMED = """
[plugins.secretive.hooks.message-received]
type = "message_received"
phase = "validate"
"""


@pytest.fixture(scope="module")
def url(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with a dispatcher, and no registry yet."""
    folder = tmp_path_factory.mktemp("owned")
    with (
        EmbeddedBroker.start(data_dir=folder / "data") as broker,
        running(serve("dispatcher"), folder, HOOKBUS_NATS_URL=broker.url),
    ):
        yield broker.url


def settings(url: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(hookbus("settings", "--json", url=url).stdout)
    return shown


def value(url: str, key: str) -> Any:
    return {row["key"]: row["value"] for row in settings(url)["settings"]}[key]


def health(process: Process) -> dict[str, Any]:
    return get(f"{health_url(process)}/healthz")[1]


def run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return hookbus(*words, url=url)


def test_a_file_owns_the_settings_is_followed_and_refuses_everybody_else(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text("timeout_ms = 900")
    command = [*serve("registry"), "--settings", str(file)]
    with running(command, tmp_path, HOOKBUS_NATS_URL=url) as registry:
        eventually(lambda: is_ready(registry))
        refused = run(url, "settings", "apply", str(file))
        rolled = run(url, "settings", "rollback", "1")
        shown = run(url, "settings")
        file.write_text("timeout_ms = 800")
        eventually(lambda: value(url, "timeout_ms") == 800)
        file.write_text("timeout_ms = 7")
        bad = eventually(lambda: health(registry)["settings_problem"])
        during = value(url, "timeout_ms")
        is_still_ready = is_ready(registry)
        file.write_text("timeout_ms = 700")
        eventually(lambda: value(url, "timeout_ms") == 700)
        mended = health(registry)

    owner = f"the file {str(file)!r}"
    for done, what in ((refused, "settings apply"), (rolled, "settings rollback 1")):
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{what} is refused: {owner} owns the settings" in done.stderr
    assert "owns the settings" in " ".join(shown.stdout.split())  # a long path is folded
    assert bad == f"{file}:1: timeout_ms: expected 10 or more, got 7"
    assert (during, is_still_ready) == (800, True)
    assert (mended["settings_problem"], mended["owner"]) == (None, owner)
    assert mended["generation"] > 0


def test_without_a_file_the_next_registry_lets_operators_apply_look_back_and_go_back(
    url: str, tmp_path: Path
) -> None:
    """In the order in which it happens at night; the registry before this one had a file."""
    file = tmp_path / "mine.toml"
    with running(serve("registry"), tmp_path, HOOKBUS_NATS_URL=url) as registry:
        eventually(lambda: is_ready(registry))
        file.write_text("timeout_ms = 910")
        applied = run(url, "settings", "apply", str(file))
        good = json.loads(run(url, "settings", "--json").stdout)["generation"]
        file.write_text("timeout_ms = 920")
        run(url, "settings", "apply", str(file))
        again = run(url, "settings", "apply", str(file))
        listed = run(url, "settings", "history", "2")
        back = run(url, "settings", "rollback", str(good))
        after = value(url, "timeout_ms")
        unknown = run(url, "settings", "rollback", "999999")
        as_json = json.loads(run(url, "settings", "history", "--json").stdout)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert "no setting changes" in again.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80
    assert "operator: settings apply" in listed.stdout
    assert "timeout_ms: 910 → 920" in listed.stdout
    assert (back.returncode, after) == (0, 910)
    assert f"the settings of {good} are in force again" in back.stdout
    assert unknown.returncode == 2
    assert "generation 999999 is not kept; there are: " in unknown.stderr
    assert as_json["history"][0]["what"] == f"settings rollback {good}"


def test_a_secret_is_read_where_the_plugin_runs_and_nowhere_else(url: str, tmp_path: Path) -> None:
    file = tmp_path / "hookbus.toml"
    secret = tmp_path / "secret"
    file.write_text(f'{NAMED}[plugins.secretive.config]\nkey = "file:{secret}"\n')
    script = tmp_path / "secretive.py"
    script.write_text(SECRETIVE)
    emit = ("emit", "message_received", "--data", '{"text": "hi"}', "--json")
    environ = {"HOOKBUS_NATS_URL": url}
    with (
        running([*serve("registry"), "--settings", str(file)], tmp_path, **environ) as registry,
        running([HOOKBUS[0], str(script)], tmp_path, **environ) as plugin,
    ):
        eventually(lambda: is_ready(registry))
        eventually(lambda: "cannot be read where the plugin runs" in plugin.errors.read_text())
        without = json.loads(run(url, *emit).stdout)
        secret.write_text("s3cr3t\n")
        file.write_text(file.read_text() + 'other = "x"\n')  # it is read again with the next word
        eventually(lambda: "knows 6" in run(url, *emit).stdout)
        shown = run(url, "settings", "--json").stdout + plugin.errors.read_text()

    assert (without["outcome"], without["by"]) == ("block", "secretive")
    assert f"config.key: {str(secret)!r} cannot be read" in without["reason"]
    assert "s3cr3t" not in shown


def test_in_development_a_file_is_followed_and_others_may_apply_all_the_same(
    tmp_path: Path,
) -> None:
    file = tmp_path / "hookbus.toml"
    file.write_text("timeout_ms = 900")
    with up(tmp_path, "--no-bundled", "--settings", str(file)) as bus:
        first = value(bus.url, "timeout_ms")
        file.write_text("timeout_ms = 800")
        eventually(lambda: value(bus.url, "timeout_ms") == 800)
        bus.control("apply", settings={"timeout_ms": 700})

        assert (first, value(bus.url, "timeout_ms")) == (900, 700)


def test_a_registry_hears_what_operators_applied_at_another(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Each says of itself whether the bus waits for settings; none may say so falsely."""
    file = tmp_path / "mine.toml"
    file.write_text("timeout_ms = 910")
    environ = {"HOOKBUS_NATS_URL": own_broker.url}
    with (
        running(serve("registry"), tmp_path, **environ) as one,
        running(serve("registry"), tmp_path, **environ) as other,
        running(serve("dispatcher"), tmp_path, **environ),
    ):
        eventually(lambda: is_ready(one) and is_ready(other))
        before = [health(process)["waiting"] for process in (one, other)]
        done = run(own_broker.url, "settings", "apply", str(file))

        assert before == [True, True]
        assert done.returncode == 0, done.stderr
        for process in (one, other):
            eventually(lambda process=process: health(process)["generation"] == 1)
            assert health(process)["waiting"] is False


def test_the_settings_are_a_files_only_as_long_as_a_registry_follows_it(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Who merely knows of the owner keeps nobody from taking the settings over."""
    file = tmp_path / "owning.toml"
    file.write_text("timeout_ms = 910")
    environ = {"HOOKBUS_NATS_URL": own_broker.url}
    with running([*serve("registry"), "--settings", str(file)], tmp_path, **environ) as owning:
        eventually(lambda: is_ready(owning))
        beside = Process(serve("registry"), tmp_path, **environ)
        eventually(lambda: is_ready(beside))
        known = health(beside)
    try:
        with running(serve("registry"), tmp_path, **environ) as successor:
            eventually(lambda: is_ready(successor))
            after = health(successor)
    finally:
        beside.close()

    owner = f"the file {str(file)!r}"
    assert (known["owner"], known["file"]) == (owner, None)
    assert (after["owner"], after["file"]) == (None, None)
