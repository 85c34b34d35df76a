"""A process that has imported every command, and forks for each that is to run.

Starting Python and importing a command takes half a second of CPU, and the tests run some hundred.
What a start from nothing does is shown by the roles, by `hookbus up` and by the pages' readers,
who start theirs as people do.

    python -m tests.integration.warm SOCKET
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from hookbus.cli.app import COMMANDS

READY_WITHIN: Final = 30.0  # seconds


def run_warm(
    words: Sequence[str], environ: Mapping[str, str], stdin: str, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m hookbus WORDS`` here in a fork, with this environment and no other."""
    said = {"words": words, "environ": environ, "cwd": os.getcwd(), "timeout": timeout}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        reading, writing = os.pipe()  # some commands take a pipe and no file, or a file and no pipe
        connection.connect(str(_server()))
        socket.send_fds(connection, [b"!"], [reading, out.fileno(), err.fileno()])
        os.close(reading)
        connection.sendall(json.dumps(said).encode())
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w") as given:
            given.write(stdin)
        status = int(_all(connection) or -signal.SIGKILL)
        if status == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(words, timeout, _text(out), _text(err))
        return subprocess.CompletedProcess(words, status, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@cache
def _server() -> Path:
    """Start it once in each process of the tests; it ends with that."""
    path = Path(tempfile.mkdtemp(prefix="warm-")) / "socket"
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, str(path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
    )

    atexit.register(server.communicate)  # where nobody calls it, stdin ends with this process
    deadline = time.monotonic() + READY_WITHIN
    while not path.exists():
        assert server.poll() is None, "it ended at once"
        assert time.monotonic() < deadline, "it is not ready"
        time.sleep(0.01)
    return path


def serve(path: Path) -> None:
    """Fork for each connection until stdin ends."""
    for module in COMMANDS.values():
        importlib.import_module(module)
    gc.freeze()  # no collection in a fork copies these pages
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(64)
        os.rename(f"{path}.new", path)  # whoever sees it can connect
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who answers
        while True:
            ready, _, _ = select.select([sys.stdin, listener], [], [])
            if sys.stdin in ready:
                break
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listener.close()
                    _answer(connection)
    path.unlink()
    path.parent.rmdir()


def _answer(connection: socket.socket) -> None:
    """Run what one connection wants in a fork, say how it ended, and end."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    said = json.loads(_all(connection))
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(said, streams)
    for stream in streams:
        os.close(stream)  # who writes to a command that has ended must see it
    _, status = os.waitpid(pid, 0)
    connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(said: dict[str, Any], streams: Sequence[int]) -> None:
    """Be the command, as if Python had been started for it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(said["environ"])
    os.chdir(said["cwd"])
    signal.setitimer(signal.ITIMER_REAL, said["timeout"])
    sys.argv = ["hookbus", *said["words"]]
    runpy.run_module("hookbus", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
