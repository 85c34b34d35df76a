"""`hookbus demo` as a person runs it: a process, a real broker, real plugins."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus.cli.demo.conversation import load_conversation

DEMO = [sys.executable, "-m", "hookbus", "demo"]
TIMEOUT = 60.0

pytestmark = pytest.mark.usefixtures("nats_server_program")


class Demo:
    """A running demo that writes JSON lines, slowly enough to interfere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*DEMO, "--json", "--speed", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder)},
            cwd=folder,
            text=True,
        )
        self.pids: dict[str, int] = self.next_line().get("started", {})
        self._children = [os.pidfd_open(pid) for pid in self.pids.values()]

    def next_line(self):
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=TIMEOUT)[1]
        return json.loads(line)

    def finish(self):
        """Wait for its end: the lines not yet read, stderr, and the exit code."""
        out, errors = self.process.communicate(timeout=TIMEOUT)
        return [json.loads(line) for line in out.splitlines()], errors, self.process.returncode

    def children_end(self) -> bool:
        """Tell whether every process that it started ends."""
        waiting = list(self._children)
        deadline = time.monotonic() + TIMEOUT
        while waiting and time.monotonic() < deadline:
            ended, _, _ = select.select(waiting, [], [], deadline - time.monotonic())
            waiting = [child for child in waiting if child not in ended]
        return not waiting

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=TIMEOUT)
        for child in self._children:
            os.close(child)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("watching other processes' children end needs pidfd_open (Linux)")
    running = Demo(tmp_path)
    yield running
    running.close()


def run_demo(*arguments, **options):
    return subprocess.run(
        [*DEMO, *arguments], capture_output=True, text=True, timeout=TIMEOUT, **options
    )


def test_every_decision_of_the_bus_is_as_labelled_and_nothing_else_is_on_stdout():
    started = time.monotonic()

    done = run_demo("--json")

    assert done.returncode == 0, done.stdout[-1_000:] + done.stderr
    assert done.stderr == ""
    assert time.monotonic() - started < 15
    first, *decided, last = [json.loads(line) for line in done.stdout.splitlines()]
    plugins = {"redact-secrets", "guard-tools", "audit-log"}
    assert first["started"].keys() == {"broker", "registry", "dispatcher"} | plugins
    assert len(set(first["started"].values())) == len(first["started"])
    lines = load_conversation()
    assert [event["data"] for event in decided] == [line.data for line in lines]
    assert [event["decision"]["outcome"] for event in decided] == [line.expect for line in lines]
    assert all(event["met"] and event["decision"]["generation"] > 0 for event in decided)
    summary = last["summary"]
    assert (summary["events"], summary["met"]) == (len(lines), len(lines))
    assert summary["observed"] == len(lines)
    assert summary["plugins"]["redact-secrets"]["asked"] == len(lines)
    tools = [line for line in lines if line.type == "tool_invoked"]
    assert summary["plugins"]["guard-tools"]["asked"] == len(tools)


def test_piped_it_is_plain_text_of_80_columns_in_any_folder_and_encoding(tmp_path):
    (tmp_path / "hookbus.toml").write_text("this is no settings file")
    environ = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "FORCE_COLOR"}}
    environ |= {"TMPDIR": str(tmp_path), "PYTHONIOENCODING": "ascii"}

    done = run_demo(cwd=tmp_path, env=environ)

    assert done.returncode == 0, done.stdout[-1_000:] + done.stderr
    assert [c for c in done.stdout if not c.isprintable() and c != "\n"] == []
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "             - The card was 4111 1111 1111 1111, valid until 12/27.\n" in done.stdout
    assert "             + The card was [redacted:card], valid until 12/27.\n" in done.stdout
    assert "guard-tools blocked it: " in done.stdout
    count = len(load_conversation())
    assert done.stdout.endswith(f"\nlabels met: {count} of {count}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["hookbus.toml"]


def test_after_a_kill_of_the_redactor_events_are_blocked_and_it_is_named(demo):
    for _ in range(3):
        assert demo.next_line()["met"]

    os.kill(demo.pids["redact-secrets"], signal.SIGKILL)
    rest, _, code = demo.finish()

    # what was on its way when the signal came may still have been answered
    blocked = rest[2:-1]
    assert len(blocked) > 50
    assert {event["decision"]["outcome"] for event in blocked} == {"block"}
    decision = blocked[0]["decision"]
    assert (decision["by"], decision["cause"]) == ("redact-secrets", "failure")
    assert decision["code"] == "no_responders"
    assert "redact-secrets: no_responders: " in decision["reason"]
    assert "hookbus plugins remove redact-secrets" in decision["reason"]
    assert rest[-1]["summary"]["misses"][-1]["got_by"] == "redact-secrets"
    assert code == 1


def test_without_a_dispatcher_no_decision_can_be_had(demo):
    demo.next_line()

    os.kill(demo.pids["dispatcher"], signal.SIGKILL)
    _, errors, code = demo.finish()

    assert code == 5
    assert errors.startswith("hookbus: demo: ")
    assert "Traceback" not in errors
    assert demo.children_end()


def test_ctrl_c_stops_everything_and_leaves_nothing_behind(demo):
    demo.next_line()

    demo.process.send_signal(signal.SIGINT)
    _, errors, code = demo.finish()

    assert errors == "hookbus: demo interrupted; everything it started was stopped\n"
    assert code == 130
    assert demo.children_end()
    assert list(demo.folder.iterdir()) == []


def test_sigterm_leaves_nothing_behind(demo):
    demo.next_line()

    demo.process.terminate()
    _, errors, code = demo.finish()

    assert errors == ""
    assert code == 143
    assert demo.children_end()
    assert list(demo.folder.iterdir()) == []


def test_no_process_outlives_a_demo_that_is_killed(demo):
    demo.next_line()

    demo.process.kill()

    assert demo.children_end()


def test_fast_and_speed_together_are_a_usage_error():
    done = run_demo("--fast", "--speed", "3")

    assert done.returncode == 2
    assert done.stderr == "hookbus: demo: expected --fast or --speed, got both\n"
