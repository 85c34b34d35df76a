"""A page as its reader lives it: files are written, commands typed, terminals kept open.

What a code block is stands behind its three backquotes, where the rendered page does not show it:

- ``python plugin.py``: any word with a dot is a file in the reader's folder; settings are checked;
- ``sh``: commands, one a line, each of which must succeed; an ``export`` lasts;
- ``sh blocked``: the same, and the last one ends with the exit code of a block;
- ``sh terminal``: a command that goes on in a terminal of its own until the page ends;
- ``text``: what the commands before it printed; an ellipsis stands for anything, and numbers,
  times and ids may be others.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.integration.commands import PATIENCE, clean_environment, eventually, wait_served
from tests.integration.worlds import free_port

DONE: Final = 0
BLOCKED: Final = 3  # exit code of `hookbus emit`
WAITING: Final = (0, 1)  # of `hookbus settings check`: 1 is fine where plugins announce hooks
UP: Final = re.compile(r'is ready at|is bound: |"state":"bound"')

_BLOCK: Final = re.compile(r"^```(\w*)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGING: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?|\d\d:\d\d:\d\d|[0-9a-f]{8}-[0-9a-f]{4}[0-9a-f.-]*|\d+(?:\.\d+)?"
)


class Block(NamedTuple):
    """One code block of a page."""

    language: str
    label: str
    body: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(m[1], m[2] or "", m[3], text.count("\n", 0, m.start()) + 1)
        for m in _BLOCK.finditer(text)
    ]


def demand_node(*programs: str) -> None:
    """Skip what needs *programs* (Node and npm) where they are not; in CI that is an error."""
    missing = [program for program in programs or ("node", "npm") if shutil.which(program) is None]
    if missing and os.environ.get("CI") == "true":
        raise LookupError(f"expected on PATH: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")


@dataclass
class Reader:
    """Somebody with an empty folder, who does what a page says."""

    folder: Path
    port: int = field(default_factory=free_port)
    printed: str = ""

    def __post_init__(self) -> None:
        self.terminals: list[subprocess.Popen[bytes]] = []
        programs = self.folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        own_bus = f'[ "$1" = up ] && shift && set -- up --port {self.port} --http-port 0 "$@"'
        _write_program(programs / "hookbus", f'{own_bus}\nexec "{sys.executable}" -m hookbus "$@"')
        _write_program(programs / "python", f'exec "{sys.executable}" "$@"')
        _write_program(programs / "pytest", f'exec "{sys.executable}" -m pytest "$@"')
        if shutil.which("curl") is None:
            got = "import sys, urllib.request as u; print(u.urlopen(sys.argv[-1]).read().decode())"
            _write_program(programs / "curl", f"exec '{sys.executable}' -c '{got}' \"$@\"")
        self.environ = clean_environment(
            HOOKBUS_NATS_URL=f"nats://127.0.0.1:{self.port}",
            HOME=str(self.folder),
            COLUMNS="80",
            PYTHONUNBUFFERED="1",
            PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        )
        self.environ.pop("XDG_STATE_HOME", None)

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        if "." in block.label:
            file = self.folder / block.label
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body)
            if file.suffix == ".toml":
                self.type_in(f"hookbus settings check {block.label}", *WAITING)
        elif block.language == "sh" and block.label == "terminal":
            self.open_terminal(block.body)
        elif block.language == "sh" and block.label in ("", "blocked"):
            self.type_in(block.body, BLOCKED if block.label else DONE)
        elif block.language == "text":
            assert shape(self.printed, block.body), f"printed:\n{self.printed}"
        else:
            raise AssertionError(f"nobody knows how to run a block {block.language} {block.label}")

    def type_in(self, commands: str, *last_codes: int) -> None:
        """Run commands one after another; only the last one may end with one of *last_codes*."""
        lines = [line for line in commands.replace("\\\n", "").splitlines() if line.strip()]
        self.printed = ""
        for line in lines:
            if line.startswith("export "):
                self.export(line)
                continue
            done = self.run(line)
            self.printed += done.stdout
            expected = last_codes if line is lines[-1] else (DONE,)
            assert done.returncode in expected, f"$ {line}\n{done.stdout}[{done.returncode}]"

    def export(self, line: str) -> None:
        name, _, _ = line.removeprefix("export ").partition("=")
        self.environ[name] = self.run(f'{line}; printf %s "${name}"').stdout

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def open_terminal(self, command: str) -> None:
        """Start a command and wait until it says that it is up, and the bus knows of it."""
        log = self.folder / ".venv" / f"terminal-{len(self.terminals)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command.strip()}"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.terminals.append(process)

        def is_up() -> bool:
            assert process.poll() is None, f"$ {command}{log.read_text()}"
            return UP.search(log.read_text()) is not None

        eventually(is_up)
        if "hookbus up" not in command:
            wait_served(self.environ["HOOKBUS_NATS_URL"])

    def interrupt(self, process: subprocess.Popen[bytes]) -> None:
        """Press ctrl-C in a terminal."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Somebody whose terminals are closed in the end, the first one last."""
    somebody = Reader(folder)
    try:
        yield somebody
    finally:
        for terminal in reversed(somebody.terminals):
            somebody.interrupt(terminal)


def shape(printed: str, shown: str) -> bool:
    """Tell whether *printed* is what the page shows."""
    wanted = [re.escape(part) for part in _settled(shown).split("…")]
    return re.fullmatch(r".*?".join(wanted), _settled(printed), re.DOTALL) is not None


def _settled(text: str) -> str:
    return " ".join(_CHANGING.sub("0", text).split())


def _write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
