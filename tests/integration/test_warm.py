"""What the tests' forked commands say is what commands that are started say."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.commands import HOOKBUS, PATIENCE, clean_environment
from tests.integration.warm import run_warm

ENVIRON = clean_environment(COLUMNS="80", HOOKBUS_NATS_URL="nats://127.0.0.1:1")
TOML = "timeout_ms = 7"


@pytest.mark.parametrize("line", ["emit", "nonsense", "settings check /dev/stdin"])
def test_a_forked_command_ends_as_a_started_one_does(line: str) -> None:
    command = [*HOOKBUS, *line.split()]
    started = subprocess.run(
        command, env=ENVIRON, input=TOML, capture_output=True, text=True, check=False
    )

    forked = run_warm(line.split(), ENVIRON, TOML, PATIENCE)

    assert forked.returncode == started.returncode == 2
    assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)
    assert forked.stderr


def test_a_forked_command_need_not_read_what_it_is_given() -> None:
    assert run_warm(["--version"], ENVIRON, "x" * 1_000_000, PATIENCE).returncode == 0


def test_a_forked_command_that_does_not_end_is_ended_and_told() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_warm(["serve", "registry", "--http", "127.0.0.1:0"], ENVIRON, "", 0.5)
