"""Where and of what the figures are: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from hookbus.broker import find_nats_server

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    "hookbus",
    "nats-py",
    "msgspec",
    "uvloop",
    "pydantic",
    "faststream",
    "opentelemetry-api",
    "cpex",
    "protobuf",
)


def surroundings() -> dict[str, Any]:
    """Everything that a figure depends on and that can be asked for."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {
            "python": platform.python_version(),
            "nats-server": _said([find_nats_server(), "--version"]),
            **dict(_versions()),
        },
        "commit": _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
    }


def load_average() -> str:
    """The system's, of 1, 5 and 15 minutes."""
    return " ".join(f"{average:.2f}" for average in os.getloadavg())


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _said(command: list[str]) -> str | None:
    """The first line that *command* prints; None where it cannot be run, or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip().partition("\n")[0]
