"""The installed command completes itself, as bash asks it to."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from hookbus.cli.app import COMMANDS
from tests.integration.commands import PATIENCE, clean_environment

HOOKBUS = Path(sysconfig.get_path("scripts")) / "hookbus"


def complete(line: str) -> list[str]:
    """What bash offers behind *line*, by the function that --show-completion gives it."""
    words = line.split(" ")
    done = subprocess.run(
        [HOOKBUS],
        env=clean_environment(
            _HOOKBUS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
        ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hookbus ", sorted(COMMANDS)),
        (
            "hookbus plugins ",
            ["approve", "backtest", "explain", "mode", "remove", "replay", "show"],
        ),
        ("hookbus plugins explain --ty", ["--type"]),
        ("hookbus serve reg", ["registry"]),
    ],
)
def test_bash_is_offered_commands_options_and_values(line: str, offered: list[str]) -> None:
    assert sorted(complete(line)) == offered


def test_the_function_for_bash_calls_this_protocol() -> None:
    done = subprocess.run(
        [HOOKBUS, "--show-completion", "bash"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert "_HOOKBUS_COMPLETE=complete_bash" in done.stdout
    assert "complete -o default -F _hookbus_completion hookbus" in done.stdout
