"""What a trial came to, for a terminal and for programs."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.text import Text

from hookbus.cli.printable import clean, shorten
from hookbus.cli.render import render_decision
from hookbus.cli.test.trial import Outcome, Wanted
from hookbus.models import PluginRecord

_INDENT: Final = "  "
_MAX: Final = 300  # characters


def show(wanted: Wanted, outcome: Outcome, console: Console) -> None:
    """Print the decision as `emit` does, then a line for each hook."""
    console.print(render_decision(outcome.decision, wanted.data))
    for record in outcome.decision.records:
        console.print(_hook(record))
    for name, failure in outcome.observed.items():
        said = "took it" if failure is None else f"failed: {shorten(failure, _MAX)}"
        console.print(Text(f"{_INDENT}{name} (observe): {said}"))
    for note in outcome.notes:
        console.print(Text(f"{_INDENT}note: {clean(note)}", "yellow"))


def to_json(wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    """Give what ``--json`` prints: the decision with its data, and what observe hooks did."""
    return {
        "plugin": wanted.plugin.name,
        "version": wanted.plugin.version,
        "decision": outcome.decision,
        "observed": outcome.observed,
        "notes": outcome.notes,
    }


def _hook(record: PluginRecord) -> Text:
    line = Text(f"{_INDENT}{clean(record.hook)} ({record.phase}): ")
    if record.failure is not None:
        return line.append(f"failed: {clean(record.failure)} after {record.ms:.1f} ms", "red")
    if record.verdict is None:
        return line.append(f"not asked: {_why(record)}", "yellow")
    line.append(f"{clean(record.verdict)} in {record.ms:.1f} ms")
    if record.code:
        line.append(f", code {shorten(record.code, _MAX)}")
    notes = ", ".join(f"{name} {value}" for name, value in record.annotations.items())
    return line.append(f" ({shorten(notes, _MAX)})") if notes else line


def _why(record: PluginRecord) -> str:
    for note in record.notes:
        said = " ".join(str(value) for value in note.values())
        return shorten(said, _MAX)
    return record.resolution
