"""Child processes end with their parent, however it ends; nothing here needs a broker."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookbus.processes import _WATCHDOG, Child, _Watchdog, spawn

TIMEOUT = 10.0

SLEEPER = [sys.executable, "-S", "-c", "import signal; signal.pause()"]

# Takes no SIGTERM, and has a child of its own in its process group.
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork() or signal.pause()
os.write(1, b"ready\\n")
signal.pause()
"""

# Three generations that all share one standard output: it ends when the last of them is gone.
# "in_thread" spawns from a thread that ends at once.
FAMILY = """
import signal, sys, threading
from hookbus.processes import spawn

generation, where = int(sys.argv[1]), sys.argv[2]
children = []

def bear():
    command = [sys.executable, __file__, str(generation - 1), where]
    children.append(spawn(command, stdout=1, stderr=2))

if generation > 1 and where == "in_thread":
    thread = threading.Thread(target=bear)
    thread.start()
    thread.join()
elif generation > 1:
    bear()
print(generation, flush=True)
signal.pause()
"""

# A parent that is killed when its child runs, but before it has told the watchdog's list.
KILLED_IN_THE_GAP = """
import os, signal, subprocess, sys
from hookbus.processes import _Watchdog

def start(in_child):
    command = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
    subprocess.Popen(command, preexec_fn=in_child, start_new_session=True)
    print("born", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

_Watchdog().watch(start)
"""


def read_line(output: int) -> bytes:
    """Read one line of what children write; b"" means that the last writer is gone."""
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([output], [], [], TIMEOUT)
        assert readable, f"neither output nor its end within {TIMEOUT} s"
        byte = os.read(output, 1)
        if not byte:
            break
        line += byte
    return line


def start_sleeper(in_child: Callable[[], None]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(SLEEPER, preexec_fn=in_child, start_new_session=True)


def end_parent_of(watchdog: _Watchdog) -> None:
    """Let the watchdog see what it sees when its parent is gone, and wait until it has acted."""
    assert watchdog._process
    os.close(watchdog._pipe)
    watchdog._process.wait(TIMEOUT)


@pytest.fixture
def child() -> Iterator[Child]:
    child = spawn(SLEEPER)
    yield child
    child.terminate(TIMEOUT)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


@pytest.mark.parametrize("where", ["in_main_thread", "in_thread"])
def test_children_and_grandchildren_are_gone_after_the_kill_of_the_top(
    tmp_path: Path, pipe: tuple[int, int], where: str
) -> None:
    family = tmp_path / "family.py"
    family.write_text(FAMILY)
    read_end, write_end = pipe
    top = subprocess.Popen([sys.executable, family, "3", where], stdout=write_end)
    os.close(write_end)
    try:
        assert sorted(read_line(read_end) for _ in range(3)) == [b"1\n", b"2\n", b"3\n"]
    finally:
        top.kill()
        top.wait(TIMEOUT)

    assert read_line(read_end) == b""


def test_a_child_spawned_in_a_thread_outlives_the_thread() -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(spawn(SLEEPER)))
    thread.start()
    thread.join()

    (child,) = children
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.05)
    assert child.terminate(TIMEOUT) == -signal.SIGTERM
    assert child.pid not in _WATCHDOG._pids


def test_a_child_leads_a_session_of_its_own(child: Child) -> None:
    assert os.getsid(child.pid) == child.pid


def test_a_running_child_has_no_return_code(child: Child) -> None:
    assert child.poll() is None
    assert child.returncode is None


def test_an_ended_child_has_its_return_code_however_often_it_is_stopped() -> None:
    child = spawn([sys.executable, "-S", "-c", "raise SystemExit(3)"])

    assert child.wait(TIMEOUT) == 3
    assert child.terminate(TIMEOUT) == 3
    assert child.returncode == 3


def test_a_child_gets_its_environment_directory_and_descriptors(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    read_end, write_end = pipe
    source = f"import os; os.write({write_end}, (os.environ['A'] + os.getcwd()).encode())"

    child = spawn(
        [sys.executable, "-S", "-c", source], env={"A": "x"}, pass_fds=(write_end,), cwd=tmp_path
    )

    os.close(write_end)
    assert read_line(read_end) == f"x{tmp_path}".encode()
    assert child.wait(TIMEOUT) == 0


def test_a_child_that_ignores_sigterm_is_killed_with_its_process_group(
    pipe: tuple[int, int],
) -> None:
    read_end, write_end = pipe
    child = spawn([sys.executable, "-S", "-c", STUBBORN], stdout=write_end)
    os.close(write_end)
    assert read_line(read_end) == b"ready\n"

    assert child.terminate(0.05) == -signal.SIGKILL

    assert read_line(read_end) == b""


def test_a_command_that_does_not_exist_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn([tmp_path / "missing"])


def test_the_watchdog_kills_its_children_at_the_end_of_its_parent() -> None:
    watchdog = _Watchdog()
    child = watchdog.watch(start_sleeper)

    end_parent_of(watchdog)

    assert child.wait(TIMEOUT) == -signal.SIGKILL


def test_the_watchdog_kills_a_child_that_its_parent_had_no_time_to_list(
    pipe: tuple[int, int],
) -> None:
    read_end, write_end = pipe
    parent = subprocess.Popen([sys.executable, "-c", KILLED_IN_THE_GAP], stdout=write_end)
    os.close(write_end)

    assert parent.wait(TIMEOUT) == -signal.SIGKILL
    assert read_line(read_end) == b"born\n"
    assert read_line(read_end) == b""


def test_a_look_that_finds_the_child_ended_tells_whoever_guards_it() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait(TIMEOUT)
    ended: list[int] = []

    Child(process, on_end=ended.append).poll()

    assert ended == [process.pid]


def test_the_watchdog_spares_a_pid_that_was_forgotten() -> None:
    watchdog = _Watchdog()
    child = watchdog.watch(start_sleeper)
    watchdog.forget(child.pid)

    end_parent_of(watchdog)

    child.terminate()
    assert child.wait(TIMEOUT) == -signal.SIGTERM


def test_the_watchdog_spares_the_pid_of_a_child_that_could_not_be_executed() -> None:
    watchdog = _Watchdog()
    announced: list[subprocess.Popen[bytes]] = []

    def fail(in_child: Callable[[], None]) -> subprocess.Popen[bytes]:
        announced.append(start_sleeper(in_child))  # stands for whoever has the number next
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        watchdog.watch(fail)

    end_parent_of(watchdog)

    announced[0].terminate()
    assert announced[0].wait(TIMEOUT) == -signal.SIGTERM


def test_a_watchdog_that_was_killed_is_replaced_and_knows_the_older_children() -> None:
    watchdog = _Watchdog()
    older = watchdog.watch(start_sleeper)
    assert watchdog._process
    watchdog._process.kill()
    watchdog._process.wait(TIMEOUT)

    younger = watchdog.watch(start_sleeper)
    end_parent_of(watchdog)

    assert older.wait(TIMEOUT) == -signal.SIGKILL
    assert younger.wait(TIMEOUT) == -signal.SIGKILL
