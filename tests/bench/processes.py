"""The processes of one variant: started, asked, charged, ended."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus.broker import EmbeddedBroker
from hookbus.errors import HookbusError
from hookbus.operations import request
from hookbus.transport import NatsTransport

#: As in production, payloads are not kept: a development bus would store each event twice.
NO_PAYLOADS: Final = '[types.message_received]\nrecord_payload = "none"\n'
PATIENCE: Final = 30.0  # seconds until the plugins are bound
MOST_SECONDS_TO_END: Final = 60.0


class Process:
    """A child that talks JSON lines over its pipes."""

    def __init__(
        self, arguments: list[str], environ: Mapping[str, str], log: Path | None = None
    ) -> None:
        """Start it; its log is kept in *log*, else that of a role is thrown away."""
        with open(log or os.devnull, "w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors if log or environ else None,
                env={**os.environ, **environ},
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line != "ready\n":
            raise SystemExit(f"{self._process.args}: expected 'ready', got {line!r}")

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the load ended: its decision was wrong, or it broke")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> float:
        """Ask it to end, and return how many seconds that took."""
        begun = time.perf_counter()
        self._process.terminate()
        self._process.wait(MOST_SECONDS_TO_END)
        return time.perf_counter() - begun

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()


class Started:
    """One variant's broker, if it has one, and its processes by name."""

    def __init__(
        self, stack: ExitStack, broker: EmbeddedBroker | None, logs: Path | None = None
    ) -> None:
        """*logs* is a folder for the logs of all that is started."""
        self._logs = logs
        self._stack = stack
        self._broker = broker
        self.processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        assert self._broker is not None
        return self._broker.url

    def start(
        self, name: str, arguments: list[str], environ: Mapping[str, str] | None = None
    ) -> Process:
        log = self._logs / f"{name}.log" if self._logs else None
        process = self.processes[name] = Process(arguments, environ or {}, log)
        self._stack.callback(process.end)
        return process

    def start_roles(
        self,
        folder: Path,
        program: str,
        more: str = "",
        *,
        are_a_files: bool = True,
        is_local: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start registry and dispatcher; *program* is the module that is `hookbus`.

        With *is_local* there is no dispatcher: that is in the emitter's process.

        *more* is TOML that the settings file has beside the mode. Settings that are not a file's
        can be applied later.
        """
        environ = {**(environ or {}), "HOOKBUS_NATS_URL": self.url}
        serve = ["-m", program, "serve"]
        address = ["--http", "127.0.0.1:0"]
        settings = ["--default-mode", "development"]
        if are_a_files:
            file = folder / "hookbus.toml"
            file.write_text(f'mode = "development"\n{more}{NO_PAYLOADS}')
            settings = ["--settings", str(file)]
        self.start("registry", [*serve, "registry", *address, *settings], environ)
        if not is_local:
            self.start("dispatcher", [*serve, "dispatcher", *address], environ)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each process has had so far."""
        pids = {name: process.pid for name, process in self.processes.items()}
        if self._broker is not None:
            pids["broker"] = self._broker.pid
        return {name: cpu_of(pid) for name, pid in pids.items()}


async def until_bound(url: str, hooks: int, *, is_served: bool = True) -> None:
    """Wait until a generation has all *hooks*, with *is_served* until a dispatcher serves it."""
    transport = await NatsTransport.connect(url)
    try:
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            try:
                answer = await request(transport, "bench", "list")
            except HookbusError:  # the registry is not there yet
                await asyncio.sleep(0.05)
                continue
            if sum(len(p["hooks"]) for p in answer["plugins"]) == hooks:
                generation = answer["generation"]
                if is_served:
                    await request(transport, "bench", "wait_generation", generation=generation)
                return
            await asyncio.sleep(0.05)
        raise SystemExit(f"the plugins were not bound within {PATIENCE:g} s")
    finally:
        await transport.close()


def cpu_of(pid: int) -> float:
    """Add up what the scheduler gave each thread, in seconds (nanosecond counters)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that just ended
    return total / 1e9


def rss_mb(pid: int) -> float:
    """Memory that a process has, in millions of bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024 / 1e6
