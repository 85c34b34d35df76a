"""`hookbus plugins`, and what every command has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus import __version__
from hookbus.broker import EmbeddedBroker
from tests.integration.commands import Bus, hookbus, plugin, up

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

LONG_NAMES = """\
from hookbus import Plugin

plugin = Plugin("a-plugin-of-a-long-name", version="10.20.30")

@plugin.hook("response_generated", phase="validate", priority=-1000, name="its-hook-of-a-long-name")
async def check(event): ...

@plugin.hook("tool_invoked", phase="mutate")
async def change(event): ...

if __name__ == "__main__":
    plugin.run()
"""

NAME = "a-plugin-of-a-long-name"


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("plugins")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, NAME, LONG_NAMES):
        yield bus


def test_the_table_says_everything_within_80_columns(bus: Bus) -> None:
    done = bus.run("plugins")

    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = done.stdout.split()
    for word in (
        NAME,
        "10.20.30",
        "its-hook-of-a-long-name",
        "response_generated",
        "validate",
        "-1000",
        "enforce",
    ):
        assert word in words


def test_json_is_the_registrys_list(bus: Bus) -> None:
    listed = json.loads(bus.run("plugins", "--json").stdout)

    [found] = listed["plugins"]
    assert found["plugin"] == NAME
    assert [hook["name"] for hook in found["hooks"]] == ["its-hook-of-a-long-name", "tool-invoked"]
    assert len(found["replicas"]) == 1


def test_remove_and_approve_are_in_force_when_the_command_returns(bus: Bus) -> None:
    removed = bus.run("plugins", "remove", NAME)
    without = bus.emit("tool_invoked", {"name": "bash", "args": {}})
    listed = bus.run("plugins")
    approved = bus.run("plugins", "approve", NAME, "--json")
    with_it = bus.emit("tool_invoked", {"name": "bash", "args": {}})

    assert (removed.returncode, approved.returncode) == (0, 0)
    assert without.records == ()
    assert f"hookbus plugins approve {NAME}" in " ".join(listed.stdout.split())
    assert [record.plugin for record in with_it.records] == [NAME]
    assert json.loads(approved.stdout)["generation"] == with_it.generation


def test_an_unknown_plugin_is_refused_and_the_known_are_named(bus: Bus) -> None:
    done = bus.run("plugins", "remove", "nobody")

    assert done.returncode == 2
    assert "plugin 'nobody' is neither announced nor in the settings" in done.stderr
    assert NAME in done.stderr


def test_what_is_no_name_is_refused(bus: Bus) -> None:
    done = bus.run("plugins", "remove", "No Name")

    assert done.returncode == 2
    assert "expected a plugin's name, got 'No Name'" in done.stderr


def test_in_production_a_plugin_that_nobody_named_is_asked_once_it_is_approved(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "hookbus.toml"
    settings.write_text('mode = "production"\n')
    script = tmp_path / "named.py"
    script.write_text(LONG_NAMES)

    words = ("--no-bundled", "--plugins", str(script), "--settings", str(settings))
    with up(tmp_path, *words) as bus:
        said = bus.process.errors.read_text()
        done = bus.run("plugins", "approve", NAME, "--for", "1h")
        [plugin] = bus.control("list")["plugins"]
        shown = bus.run("settings")

    assert f"plugin {NAME!r} is not asked: " in said
    assert done.returncode == 0, done.stderr
    assert (plugin["state"], plugin["hooks"][0]["origin"]) == ("bound", "approval")
    assert f"* {NAME}: let in by operator at 2" in shown.stdout
    assert " until 2" in " ".join(shown.stdout.split())


def test_no_registry_is_exit_code_5(own_broker: EmbeddedBroker) -> None:
    done = hookbus("plugins", url=own_broker.url)

    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        "hookbus: no registry is listening; start one: 'hookbus up', or 'hookbus serve registry'\n"
    )


def test_a_bad_principal_in_the_environment_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hookbus", "plugins"],
        env={"HOOKBUS_PRINCIPAL": "Not A Name"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("hookbus: HOOKBUS_PRINCIPAL='Not A Name': expected a name")


def test_the_version_is_said() -> None:
    assert hookbus("--version").stdout == f"hookbus {__version__}\n"


def test_help_names_every_command() -> None:
    done = hookbus("--help")

    assert done.returncode == 0
    for command in ("demo", "up", "emit", "plugins", "serve"):
        assert command in done.stdout


def test_an_unknown_command_is_exit_code_2() -> None:
    assert hookbus("emitt").returncode == 2


def test_missing_extras_are_one_line() -> None:
    without_typer = "import sys; sys.modules['typer'] = None; from hookbus.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", without_typer], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr == (
        "hookbus: the module 'typer' is not installed; pip install 'hookbus[cli]'\n"
    )
