"""`import hookbus` is what every emitter and plugin pays: nothing heavy may come with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hookbus

HEAVY = (
    "faststream",
    "uvicorn",
    "typer",
    "rich",
    "structlog",
    "extism",
    "opentelemetry.sdk",
    "jsonschema_rs",
    "pydantic_settings",
    "hookbus.server",
    "hookbus.cli",
    "hookbus.dispatch",
    "hookbus.local",
    "hookbus.testing",
)
PROGRAM = """
import sys, time
started = time.perf_counter()
from hookbus import *
print(f"import of all of hookbus took {(time.perf_counter() - started) * 1000:.0f} ms")
print("\\n".join(sys.modules))
"""


def test_importing_hookbus_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    took, *loaded = done.stdout.splitlines()

    with capsys.disabled():
        print(f"\n{took}, {len(loaded)} modules")
    assert [name for name in HEAVY if name in loaded] == []


def test_the_package_itself_imports_no_module_of_its_own() -> None:
    program = "import sys, hookbus; print([n for n in sys.modules if n.startswith('hookbus.')])"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_no_other() -> None:
    assert hookbus.__all__ == sorted(hookbus.__all__)
    assert all(hasattr(hookbus, name) for name in hookbus.__all__)
    misspelt = "Emiter"
    with pytest.raises(AttributeError, match="module 'hookbus' has no attribute 'Emiter'"):
        _ = getattr(hookbus, misspelt)


def test_the_doubles_load_nothing_of_the_server() -> None:
    program = "import sys, hookbus.testing; print('\\n'.join(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = done.stdout.splitlines()
    assert [name for name in HEAVY if name in loaded] == ["hookbus.testing"]
