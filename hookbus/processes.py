"""Child processes that never outlive their parent, and what can be told about processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

#: Where a child's output goes: a file, a descriptor, or subprocess.DEVNULL.
Output = int | IO[bytes]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_TCP_LISTEN = "0A"  # a socket's state in /proc/net/tcp
_TAIL_BYTES = 8192
_COMMAND_CHARACTERS = 80

# It ignores SIGTERM, so that a service manager which tells a whole group to end does not take the
# guard away before the parent is gone. A child leads its own process group.
_WATCHDOG_SOURCE = """\
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = set()
for line in sys.stdin:
    if line[0] == "+":
        pids.add(int(line[1:]))
    else:
        pids = {int(pid) for pid in line[1:].split()}
for pid in pids:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
"""


class Child:
    """One child process, made by `spawn`."""

    def __init__(self, process: subprocess.Popen[bytes], on_end: Callable[[int], None]) -> None:
        self._process = process
        self._on_end = on_end

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """What the last `poll`, `wait` or `terminate` found; -9 means ended by signal 9."""
        return self._process.returncode

    def poll(self) -> int | None:
        """Look whether it ended: its return code, or None while it runs."""
        if self._process.poll() is not None:
            self._on_end(self.pid)
        return self._process.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Block until it ends.

        Raises:
            subprocess.TimeoutExpired: If it still runs after *timeout*.
        """
        returncode = self._process.wait(timeout)
        self._on_end(self.pid)
        return returncode

    def terminate(self, grace: float) -> int:
        """Ask it to end (SIGTERM); after *grace* end it and its process group (SIGKILL).

        Blocks for at most *grace* and the kill; returns the return code, also if it ended before.
        """
        if self.poll() is None:
            self._process.terminate()
            try:
                return self.wait(grace)
            except subprocess.TimeoutExpired:
                # macOS answers EPERM, not ESRCH, for a group of which only a zombie is left
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
        return self.wait()


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdout: Output = subprocess.DEVNULL,
    stderr: Output = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
    cwd: Path | None = None,
) -> Child:
    """Start *command* as a child that is killed when this process ends, however it ends.

    The child leads a session of its own: ctrl-C reaches only the parent, which then stops its
    children in order. Its standard input is empty. A child that spawns with this function is
    followed by its own children.

    Raises:
        OSError: If *command* cannot be executed.
    """

    def start(in_child: Callable[[], None]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - what to run is this function's argument
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=in_child,
        )

    # PDEATHSIG fires when the *thread* that forked ends, so it serves the main thread only
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        return Child(start(_die_with(os.getpid())), on_end=lambda pid: None)
    return Child(_WATCHDOG.watch(start), on_end=_WATCHDOG.forget)


def _die_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork a lock may be held for ever

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and the prctl
            os._exit(1)

    return in_child


class _Watchdog:
    """A process that kills the children at the end of its input, which is the end of the parent.

    A child being born writes ``+<pid>`` itself, so there is no moment in which it is not known;
    whenever one ended, or could not be executed, the parent writes the whole list ``=<pid> …``: a
    number that is free again must not be killed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._pids: set[int] = set()

    def watch(
        self, start: Callable[[Callable[[], None]], subprocess.Popen[bytes]]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            try:
                process = start(self._announce)
                self._pids.add(process.pid)
            finally:
                self._write_list()
            return process

    def forget(self, pid: int) -> None:
        with self._lock:
            if pid in self._pids:
                self._pids.remove(pid)
                self._write_list()

    def _start(self) -> None:
        if self._process is not None:
            os.close(self._pipe)
        read_end, self._pipe = os.pipe()
        command = [sys.executable, "-I", "-S", "-c", _WATCHDOG_SOURCE]
        self._process = subprocess.Popen(  # noqa: S603 - our own source
            command, stdin=read_end, stdout=subprocess.DEVNULL, start_new_session=True
        )
        os.close(read_end)

    def _announce(self) -> None:
        os.write(self._pipe, b"+%d\n" % os.getpid())

    def _write_list(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # the next `watch` starts another watchdog
            os.write(self._pipe, f"={' '.join(map(str, self._pids))}\n".encode())


_WATCHDOG = _Watchdog()  # one for the process, whose end it waits for


def read_tail(path: Path, *, since: int = 0, lines: int = 10) -> str:
    """Read the last lines of a log file, for an error message; "" if there is nothing to read.

    *since* is the size of the file before what matters was written (of a file that was rotated
    since then, all of it matters).
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= size else 0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def describe(pid: int) -> str:
    """Name a process for an error message: ``process 12 ('nats-server -c x')``."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # ended, or not Linux
        return f"process {pid}"
    command = " ".join(words).strip()
    if len(command) > _COMMAND_CHARACTERS:
        command = f"{command[:_COMMAND_CHARACTERS]}…"
    return f"process {pid} ({command!r})" if command else f"process {pid}"


def find_port_owner(port: int) -> int | None:
    """Find who listens on a TCP *port*; None if that cannot be told (only Linux tells)."""
    sockets: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            sockets |= listening_sockets(Path(table).read_text(), port)
    owners = (entry for entry in Path("/proc").iterdir() if _has_one_of(entry, sockets))
    return next((int(owner.name) for owner in owners), None) if sockets else None


def _has_one_of(process: Path, sockets: set[str]) -> bool:
    if not process.name.isdecimal():
        return False
    with contextlib.suppress(OSError):  # ended meanwhile, or another user's
        return any(os.readlink(file) in sockets for file in (process / "fd").iterdir())
    return False


def listening_sockets(table: str, port: int) -> set[str]:
    """Pick the sockets that listen on *port* from the text of /proc/net/tcp: ``socket:[<inode>]``.

    Columns: see proc(5); the local address is hexadecimal, the inode stands in column 10.
    """
    rows = [line.split() for line in table.splitlines()[1:]]
    return {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == _TCP_LISTEN and int(row[1].rpartition(":")[2], 16) == port
    }
