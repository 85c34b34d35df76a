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
    """The folder of an environment that has the wheel with two of its extras, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    install = [
        str(folder / "env/bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        f"{wheel}[cli,testing]",
    ]
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


USERS_TEST = """
import asyncio

import pytest

from hookbus import Block, Decision, Emitter, HookEvent, MessageReceived, Plugin, SyncEmitter
from hookbus import Verdict
from hookbus.errors import UnavailableCode
from hookbus.testing import SyncBus, assert_blocks, assert_continues

plugin = Plugin("no-shouting", version="1.0.0")


@plugin.hook("message_received", phase="validate", timeout_ms=200)
async def calm(event: HookEvent[MessageReceived]) -> Verdict | None:
    text: str = event.data.text
    return Block("all capitals", message="Please calm down.") if text.isupper() else None


async def service(bus: Emitter) -> str:
    decision: Decision = await bus.emit("message_received", {"text": "HELLO"}, timeout=0.5)
    return decision.message or ""


def plain(bus: SyncEmitter) -> Decision:
    return bus.emit("message_received", {"text": "hello"})


@pytest.mark.hookbus_broker
def test_on_a_real_broker(hookbus: SyncBus) -> None:
    hookbus.plug(plugin)
    assert asyncio.run(service(hookbus.emitter(source="/chat", timeout=5))) == "Please calm down."


def test_in_memory(hookbus: SyncBus) -> None:
    hookbus.plug(plugin)
    assert asyncio.run(service(hookbus.emitter(source="/chat"))) == "Please calm down."
    assert assert_continues(plain(hookbus.sync_emitter())) == {"text": "hello"}
    code: UnavailableCode = "timeout"
    with hookbus.unavailable(code):
        assert_blocks(plain(hookbus.sync_emitter(on_unavailable="block")), cause="unavailable")
    hookbus.answers("edit", "message_received", lambda event: Block(event.id))
    assert assert_blocks(hookbus.emit("message_received", {"text": "hi"}), by="edit")
"""


def test_a_users_tests_find_the_fixture_and_leave_no_warning(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_mine.py").write_text(USERS_TEST)

    done = subprocess.run(
        [str(installed / "bin/python"), "-m", "pytest", "-q", "-W", "error", "--strict-markers"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )

    assert done.stdout.splitlines()[-1].startswith("2 passed"), done.stdout + done.stderr


def test_a_users_code_is_typed_against_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    (tmp_path / "wrong.py").write_text(
        "from hookbus import Block, Emitter\nBlock(reason=1)\nEmitter(source=1)\n"
    )
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]

    done = subprocess.run(
        [*check, "--python-executable", str(installed / "bin/python"), "test_mine.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=5 * MINUTES,
        check=False,
    )

    found = [line.partition(": error: ")[0] for line in done.stdout.splitlines()[:-1]]
    assert found == ["wrong.py:2", "wrong.py:3"], done.stdout + done.stderr
