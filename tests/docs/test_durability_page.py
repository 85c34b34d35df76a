"""docs/durability.md: its settings can be used, and what it says to be tested is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from hookbus.config.settings import Settings, parse_settings
from tests.docs.page import read_page
from tests.docs.test_failure_modes_page import known_tests

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "durability.md"
COMMAND: Final = re.compile(r"`python -m (tests\.\w+)")


def test_the_settings_of_the_page_can_be_used_and_are_the_defaults_of_observers() -> None:
    settings = parse_settings(tomllib.loads(read_page(PAGE).blocks["observers"]), "the page")

    assert settings.observe == "always"
    assert settings.observers == Settings().observers


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))

    assert len(named) > 5
    assert named <= known_tests()


@pytest.mark.parametrize("module", sorted(set(COMMAND.findall(PAGE.read_text()))))
def test_every_proof_of_the_page_can_be_run(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
