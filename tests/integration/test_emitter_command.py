"""An emitter that is a command: whatever it does, the check goes on, and nothing of it is left."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from hookbus.conformance.emitters import command
from hookbus.conformance.emitters.command import Command
from hookbus.conformance.emitters.stage import Ended
from tests.integration.commands import eventually, is_gone


def ran(*words: str) -> Ended:
    return asyncio.run(Command(words, "nats://127.0.0.1:9").run("thing_happened", {}))


def test_what_a_command_has_started_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PATIENCE", 0.5)
    note = tmp_path / "pid"

    ended = ran("sh", "-c", f"sleep 600 & echo $! > {note}; wait")

    assert ended.problem == "the command, or what it started, still ran after 0.5 s"
    eventually(lambda: is_gone(int(note.read_text())))


def test_of_a_command_that_writes_much_the_last_line_counts() -> None:
    flood = "import sys; sys.stdout.write('x\\n' * 4_000_000); print('{\"outcome\": \"block\"}')"

    assert ran(sys.executable, "-c", flood) == Ended("block", None)
