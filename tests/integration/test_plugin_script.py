"""`python plugin.py`: what its author sees of a mistake, and of ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.worlds import free_port

SCRIPT = """
from hookbus import HookEvent, Plugin

plugin = Plugin("a", version="1.0.0")

@plugin.hook("message_received", phase="validate")
async def hook(event: HookEvent): ...

plugin.run()
"""


def ended(script: Path, text: str) -> tuple[int, str]:
    """Run *text* as a script: its exit code, and what it wrote to stderr."""
    script.write_text(text)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ('"a"', '"A b"', 4, "plugin 'A b': name: expected [a-z][a-z0-9-]{0,62}, got 'A b'"),
        (
            '"validate"',
            '"later", timeout_ms=0',
            6,
            "plugin 'a', hook on 'message_received': phase: expected 'mutate', 'validate' or "
            "'observe', got 'later'; timeout_ms: expected 1 … 30000, got 0",
        ),
        (
            "event: HookEvent",
            "event, more",
            6,
            "hook: expected one parameter, the event, got ['event', 'more']",
        ),
        (
            "HookEvent)",
            "HookEvent[Nowhere])",
            6,
            "hook: its annotations cannot be resolved (name 'Nowhere' is not defined); "
            "define the model at the top of the module",
        ),
    ],
)
def test_a_mistake_in_a_declaration_is_told_at_the_end_with_its_place_above(
    tmp_path: Path, right: str, wrong: str, line: int, message: str
) -> None:
    script = tmp_path / "plugin.py"
    text = "from __future__ import annotations" + SCRIPT.replace(right, wrong)

    code, stderr = ended(script, text)

    assert code == 1
    assert f'File "{script}", line {line}' in stderr
    assert stderr.endswith(f": {message}\n")


def test_run_within_a_running_loop_leaves_no_coroutine_behind(tmp_path: Path) -> None:
    inside = "import asyncio\nasync def main(): plugin.run()\nasyncio.run(main())\n"

    code, stderr = ended(tmp_path / "plugin.py", SCRIPT.replace("plugin.run()", inside))

    assert code == 1
    assert "RuntimeError: plugin 'a': run() makes an event loop of its own" in stderr
    assert "never awaited" not in stderr


def test_ctrl_c_while_there_is_no_broker_ends_a_plugin_at_once_without_a_traceback(
    tmp_path: Path,
) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(SCRIPT)
    environ = {**os.environ, "HOOKBUS_NATS_URL": f"nats://127.0.0.1:{free_port()}"}
    process = subprocess.Popen(
        [sys.executable, script], env=environ, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "trying on" in process.stderr.readline()

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (130, "")
