"""`hookbus settings`: show, check, apply."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.broker import EmbeddedBroker
from tests.integration.commands import Bus, hookbus, plugin, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

CALM = """\
from hookbus import Plugin

plugin = Plugin("calm", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def check(event): ...

if __name__ == "__main__":
    plugin.run()
"""

STARTED_WITH = """\
timeout_ms = 900
"""

APPLIED = """\
timeout_ms = 800
max_event_bytes = "64KiB"
[types."chat.sent"]
schema = { type = "object", required = ["text"] }
[plugins.calm.config]
pattern = '\\d "quoted"'
[plugins.calm.hooks.message-received]
"""


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("settings")
    file = folder / "started.toml"
    file.write_text(STARTED_WITH)
    words = ("--no-bundled", "--settings", str(file))
    with up(folder, *words) as bus, plugin(bus, folder, "calm", CALM):
        yield bus


@pytest.fixture
def file(bus: Bus, tmp_path: Path) -> Iterator[Path]:
    """A file to apply; afterwards the settings are the defaults again."""
    file = tmp_path / "applied.toml"
    file.write_text(APPLIED)
    yield file
    bus.control("apply", settings={})


def test_every_setting_is_shown_with_its_origin_within_80_columns(bus: Bus) -> None:
    bus.control("mode", plugin="calm", mode="shadow", for_s=3600)

    done = bus.run("settings")
    bus.control("mode", plugin="calm", mode=None)

    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["timeout_ms", "900"] in [row[:2] for row in rows]
    assert ["max_timeout_ms", "30000", "default"] in rows
    assert "* calm: shadow by ops at " in done.stdout
    assert "'hookbus plugins mode calm --reset'" in " ".join(done.stdout.split())


def test_json_is_what_the_registry_says_and_what_is_in_force(bus: Bus) -> None:
    shown = json.loads(bus.run("settings", "--json").stdout)

    assert {"key": "max_depth", "value": 5, "origin": "default"} in shown["settings"]
    assert shown["overrides"] == {"removed": {}, "modes": {}, "approved": {}}


def test_an_applied_file_is_in_force_when_the_command_returns(bus: Bus, file: Path) -> None:
    done = bus.run("settings", "apply", str(file))
    decision = bus.emit("chat.sent", {"text": "a type that the file made known"})
    shown = json.loads(bus.run("settings", "--json").stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"in force since generation {decision.generation}" in done.stdout
    assert ["timeout_ms", "900", "800"] in [line.split() for line in done.stdout.splitlines()]
    [origin] = [row["origin"] for row in shown["settings"] if row["key"] == "timeout_ms"]
    assert origin.startswith("applied by operator at 2")


def test_a_dry_run_says_the_same_and_changes_nothing(bus: Bus, file: Path) -> None:
    before = bus.control("settings")
    dry = json.loads(bus.run("settings", "apply", str(file), "--dry-run", "--json").stdout)
    after = bus.control("settings")
    real = json.loads(bus.run("settings", "apply", str(file), "--json").stdout)

    assert before == after
    assert dry["generation"] is None
    assert dry["difference"] == real["difference"] != []


def test_settings_as_a_file_give_the_same_settings_back(
    bus: Bus, file: Path, tmp_path: Path
) -> None:
    bus.run("settings", "apply", str(file))
    bus.control("mode", plugin="calm", mode="warn")
    shown = bus.control("settings")
    again = tmp_path / "again.toml"
    again.write_text(bus.run("settings", "--as-file").stdout)
    bus.control("mode", plugin="calm", mode=None)

    checked = bus.run("settings", "check", str(again))
    bus.control("apply", settings={})
    applied = bus.run("settings", "apply", str(again))

    assert "# not a setting: calm: warn by ops at " in again.read_text()
    assert (checked.returncode, applied.returncode) == (0, 0)
    values = {row["key"]: row["value"] for row in shown["settings"]}
    assert {row["key"]: row["value"] for row in bus.control("settings")["settings"]} == values
    [calm] = bus.control("list")["plugins"]
    assert calm["hooks"][0]["origin"] == "settings"


def test_whoever_binds_a_plugin_that_is_not_there_is_told(bus: Bus, tmp_path: Path) -> None:
    before = tmp_path / "before.toml"
    before.write_text(bus.run("settings", "--as-file").stdout)
    file = tmp_path / "absent.toml"
    hook = '[plugins.absent.hooks.h]\ntype = "tool_invoked"\nphase = "validate"\n'
    file.write_text(f"{before.read_text()}\n{hook}")
    told = "plugin 'absent' is bound, but no replica answers: what it is asked fails"
    try:
        applied = bus.run("settings", "apply", str(file))
        bus.run("plugins", "remove", "absent")
        approved = bus.run("plugins", "approve", "absent")
    finally:
        bus.run("settings", "apply", str(before))

    assert (applied.returncode, approved.returncode) == (0, 0)
    assert told in applied.stderr
    assert told in approved.stderr


def test_a_plugin_that_cannot_be_bound_is_named_with_its_hook(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "unbindable.toml"
    file.write_text('[plugins.calm.hooks.unknown]\nphase = "validate"\n')

    done = bus.run("settings", "apply", str(file))

    assert (done.returncode, done.stdout) == (2, "")
    assert "calm: plugins.calm.hooks.unknown.type: missing" in done.stderr


@pytest.mark.parametrize("command", ["check", "apply"])
def test_a_wrong_file_is_exit_code_2_with_its_place(bus: Bus, command: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[breaker]\nfailures = 0\n")

    done = bus.run("settings", command, str(file))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hookbus: {file}:2: breaker.failures: expected 1 or more, got 0\n"


def test_checking_needs_no_bus(tmp_path: Path) -> None:
    file = tmp_path / "right.toml"
    file.write_text(APPLIED)

    done = hookbus("settings", "check", str(file))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{file} can be used\n")


def test_no_registry_is_exit_code_5(own_broker: EmbeddedBroker) -> None:
    done = hookbus("settings", url=own_broker.url)

    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        "hookbus: no registry is listening; start one: 'hookbus up', or 'hookbus serve registry'\n"
    )
