"""`hookbus demo`: a labelled conversation goes over a bus of its own; what it decides is shown."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from hookbus.cli.demo.conversation import Line, load_conversation
from hookbus.cli.demo.stage import JsonStage, Stage, TerminalStage
from hookbus.cli.demo.tally import Tally
from hookbus.cli.errors import DONE, FOUND, UNDECIDED, UsageError, fail
from hookbus.cli.up.localbus import BusPlan, LocalBus, bundled_plugins
from hookbus.emitter import Emitter
from hookbus.errors import HookbusError
from hookbus.loop import run

READY_TIMEOUT: Final = 20.0  # seconds for a cold start on a busy machine; 2 is usual
EMIT_TIMEOUT: Final = 5.0  # seconds; the plugins' own timeouts are far shorter
EVENTS_PER_SECOND: Final = 12.0  # on a terminal: a person can follow, and it ends within 15 s
OBSERVE_TIMEOUT: Final = 2.0  # seconds that the observer may lag behind the last decision
SHELL_SIGNAL: Final = 128  # what shells add to the number of the signal that ended a process

_OBSERVER: Final = "audit-log"
_AUDIT_FILE: Final = "audit.jsonl"
_POLL: Final = 0.02  # seconds


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per event, and a last one.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="No pause between events.")] = False,
    speed: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="N", help="Events per second; 12 on a terminal."),
    ] = None,
) -> None:
    """Play a conversation over a bus of its own, and show what is decided and why.

    Example: hookbus demo --fast
    """
    if fast and speed is not None:
        raise UsageError("demo: expected --fast or --speed, got both")
    # as ctrl-C does it, so that the temporary folder goes, too
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(SHELL_SIGNAL + number))
    console = Console()
    stage: Stage = JsonStage(sys.stdout) if as_json else TerminalStage(console)
    is_watched = console.is_terminal and not as_json
    try:
        tally = _perform(stage, pause_between(fast=fast, speed=speed, is_watched=is_watched))
    except KeyboardInterrupt:
        fail("demo interrupted; everything it started was stopped", SHELL_SIGNAL + signal.SIGINT)
    except HookbusError as e:
        fail(f"demo: {e}", UNDECIDED)
    raise typer.Exit(FOUND if tally.misses else DONE)


def pause_between(*, fast: bool, speed: float | None, is_watched: bool) -> float:
    """Return the seconds between two events: none, unless asked for or a person watches."""
    if speed is None and is_watched:
        speed = EVENTS_PER_SECOND
    return 0.0 if fast or speed is None else 1 / speed


def _perform(stage: Stage, pause: float) -> Tally:
    """Start a bus in a temporary folder, play the conversation on it, stop it."""
    conversation = load_conversation()
    with tempfile.TemporaryDirectory(prefix="hookbus-demo-") as folder:
        with stage.starting():
            bus = _start(Path(folder))
        with bus:
            stage.started(bus.pids)
            tally = run(_play(bus.nats_url, conversation, stage, pause))
            if _OBSERVER in bus.processes:
                tally.observed = _wait_observed(Path(folder) / _AUDIT_FILE, tally.events)
            stage.ended(tally)
    return tally


def _start(folder: Path) -> LocalBus:
    settings = folder / "hookbus.toml"  # the one in the current folder is not meant for the demo
    audit_file = json.dumps(str(folder / _AUDIT_FILE), ensure_ascii=False)  # TOML quotes alike
    settings.write_text(
        f'mode = "development"\n[plugins.{_OBSERVER}.config]\npath = {audit_file}\n'
    )
    plugins = tuple(bundled_plugins())
    bus = LocalBus.start(BusPlan(data_dir=folder / "data", settings=settings, plugins=plugins))
    try:
        run(bus.wait_ready(READY_TIMEOUT))
    except BaseException:
        bus.stop()
        raise
    return bus


async def _play(url: str, conversation: list[Line], stage: Stage, pause: float) -> Tally:
    tally = Tally()
    async with Emitter.connect(url, source="/demo", timeout=EMIT_TIMEOUT) as emitter:
        for line in conversation:
            started = time.monotonic()
            decision = await emitter.emit(line.type, line.data)
            tally.add(line, decision, (time.monotonic() - started) * 1000)
            stage.decided(line, decision, tally)
            await asyncio.sleep(pause)
    return tally


def _wait_observed(file: Path, events: int) -> int:
    """Wait until the observer has written *events* lines, or its time is up; count them."""
    deadline = time.monotonic() + OBSERVE_TIMEOUT
    while True:
        observed = file.read_bytes().count(b"\n") if file.exists() else 0
        if observed >= events or time.monotonic() > deadline:
            return observed
        time.sleep(_POLL)
