"""The wheel works anywhere: installed in an empty environment, far from any checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.integration.commands import clean_environment, running

ROOT = Path(__file__).parents[2]
MINUTES = 60.0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment that has the wheel with its extra 'cli', and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    install = [str(folder / "env/bin/python"), "-m", "pip", "install", "--quiet", f"{wheel}[cli]"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=5 * MINUTES)
    if done.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip(f"the wheel's requirements cannot be had: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stderr
    return folder / "env"


def test_the_demo_plays_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "bin/hookbus"), "demo", "--json"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert "summary" in summary


def test_the_bus_comes_up_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "bin/hookbus"), "up", "--port", "0", "--json"]
    with running([*command, "--data", str(tmp_path / "data")], tmp_path) as up:
        ready = json.loads(up.line())
        emit = [str(installed / "bin/hookbus"), "emit", "message_received", "--json"]
        done = subprocess.run(
            [*emit, "--data", '{"text": "write to alice@example.com"}'],
            cwd=tmp_path,
            env=clean_environment(HOOKBUS_NATS_URL=ready["nats_url"]),
            capture_output=True,
            text=True,
            timeout=MINUTES,
            check=False,
        )

    assert json.loads(done.stdout)["outcome"] == "intercept", done.stderr


def test_the_wheel_has_no_tests_and_the_sdk_alone_needs_no_extra(installed: Path) -> None:
    code = "import hookbus, pathlib; print(pathlib.Path(hookbus.__file__).parent)"
    python = str(installed / "bin/python")
    done = subprocess.run(
        [python, "-c", code], cwd=installed, capture_output=True, text=True, check=True
    )

    package = Path(done.stdout.strip())
    assert installed in package.parents
    assert (package / "bundled_plugins/redact_secrets/plugin.py").is_file()
    assert not list(package.rglob("test_*.py"))
