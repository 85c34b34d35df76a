"""`import hookbus` is what every emitter and plugin pays: nothing heavy may come with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
    "hookbus.testing",
)
PROGRAM = """
import sys, time
started = time.perf_counter()
import hookbus
print(f"import hookbus took {(time.perf_counter() - started) * 1000:.0f} ms")
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


def test_the_doubles_load_nothing_of_the_server() -> None:
    program = "import sys, hookbus.testing; print('\\n'.join(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = done.stdout.splitlines()
    assert [name for name in HEAVY if name in loaded] == ["hookbus.testing"]
