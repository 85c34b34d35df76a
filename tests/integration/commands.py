"""Real `hookbus` processes for tests: start them, read what they say, look at their children."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hookbus.emitter import Emitter
from hookbus.models import Decision
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.integration.warm import run_warm

PATIENCE = 30.0  # seconds; a deadline for what takes one or two on a quiet machine
HOOKBUS = (sys.executable, "-m", "hookbus")

T = TypeVar("T")


class Process:
    """A process of a test, which is ended with it."""

    def __init__(self, command: list[str], cwd: Path, **environ: str) -> None:
        self.errors = cwd / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as stderr:
            self._popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=clean_environment(**environ),
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,  # `select` does not see lines that wait in a buffer of ours
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def line(self) -> str:
        """The next line on its stdout."""
        assert self._popen.stdout is not None
        ready, _, _ = select.select([self._popen.stdout], [], [], PATIENCE)
        assert ready, f"nothing on stdout; stderr: {self.errors.read_text()}"
        return self._popen.stdout.readline().decode()

    def rest(self) -> str:
        """What else it wrote to stdout, once it has ended."""
        assert self._popen.stdout is not None
        return self._popen.stdout.read().decode()

    def wait(self) -> int:
        return self._popen.wait(PATIENCE)

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.wait()

    def close(self) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


class Bus:
    """A running `hookbus up --json`."""

    def __init__(self, process: Process, data_dir: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self.ready: dict[str, Any] = json.loads(process.line() or "{}")
        self.url: str = self.ready["nats_url"]
        self.http: str = self.ready["http_url"]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run another `hookbus` command on this bus."""
        return hookbus(*words, url=self.url, stdin=stdin)

    def emit(self, type: str, data: Any) -> Decision:
        async def emit() -> Decision:
            async with Emitter.connect(self.url, source="/test") as emitter:
                return await emitter.emit(type, data, timeout=2.0)

        return asyncio.run(emit())

    def control(self, operation: str, **members: Any) -> dict[str, Any]:
        return control(self.url, operation, **members)

    def wait_served(self) -> None:
        wait_served(self.url)

    def plugins(self) -> dict[str, int]:
        """The replicas that answer, by the name of each plugin that is known."""
        return {p["plugin"]: len(p["replicas"]) for p in self.control("list")["plugins"]}


def control(url: str, operation: str, **members: Any) -> dict[str, Any]:
    """Ask the registry of a bus without credentials."""

    async def ask() -> dict[str, Any]:
        transport = await NatsTransport.connect(url, principal="ops")
        try:
            return await request(transport, "ops", operation, **members)
        finally:
            await transport.close()

    return asyncio.run(ask())


def wait_served(url: str) -> None:
    """Return when the dispatcher uses the newest configuration."""
    control(url, "wait_generation", generation=control(url, "list")["generation"])


@contextmanager
def running(command: list[str], cwd: Path, **environ: str) -> Iterator[Process]:
    process = Process(command, cwd, **environ)
    try:
        yield process
    finally:
        process.close()


@contextmanager
def up(folder: Path, *words: str, **environ: str) -> Iterator[Bus]:
    """Run `hookbus up` on free ports, with all that it keeps in *folder*."""
    data_dir = folder / "data"
    command = [*HOOKBUS, "up", "--port", "0", "--data", str(data_dir), "--json", *words]
    with running(command, folder, **environ) as process:
        yield Bus(process, data_dir)


@contextmanager
def plugin(bus: Bus, folder: Path, name: str, source: str, **environ: str) -> Iterator[Process]:
    """Run a plugin's source as somebody else's process, and wait until it is asked."""
    script = folder / f"{name}.py"
    script.write_text(source)
    environ = {"HOOKBUS_NATS_URL": bus.url, **environ}
    with running([sys.executable, str(script)], folder, **environ) as process:
        eventually(lambda: bus.plugins().get(name) == 1)
        bus.wait_served()
        yield process


def hookbus(
    *words: str, url: str = "", stdin: str = "", creds: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a `hookbus` command to its end."""
    environ = clean_environment(HOOKBUS_NATS_URL=url, HOOKBUS_CREDS=creds, COLUMNS="80")
    return run_warm(words, environ, stdin, PATIENCE)


def clean_environment(**environ: str) -> dict[str, str]:
    """This process's environment, without what the person who runs the tests has set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKBUS_", "OTEL_"))}
    return {**kept, **{k: v for k, v in environ.items() if v}}


def eventually(found: Callable[[], T], *expected_errors: type[Exception]) -> T:
    """Look until *found* returns something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(*expected_errors):
            if value := found():
                return value
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def children(pid: int) -> dict[str, int]:
    """The children of a process: ``{"broker": 12, "registry": 13, "guard_tools": …}``."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {_role(words): child for child in pids if len(words := _command(child)) > 1}


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().strip("\0").split("\0")
    except OSError:
        return []


def _role(words: list[str]) -> str:
    if "nats-server" in words[0]:
        return "broker"
    if "serve" in words:
        return words[words.index("serve") + 1]
    path = Path(words[1])
    return path.parent.name if path.name == "plugin.py" else path.stem


def is_gone(pid: int) -> bool:
    """Ended, or a zombie whose parent is not us."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def get(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an HTTP GET."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
