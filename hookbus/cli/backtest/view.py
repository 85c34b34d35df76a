"""A backtest for people: counts, why some could not be asked, and the differences one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus.cli.backtest.compare import KINDS, effect
from hookbus.cli.backtest.tally import Difference, Tally
from hookbus.cli.backtest.trial import Trial
from hookbus.cli.operating import QUIET
from hookbus.cli.printable import clean, shorten, shorten_middle
from hookbus.decision_log.records import short_id
from hookbus.models import PluginRecord

MAX_SHOWN: Final = 20  # differences
MAX_REASON: Final = 200  # characters
MAX_POINTERS: Final = 10
MAX_NAME: Final = 40  # characters of an event: with the two names it fits 80 columns


def show(trial: Trial, tally: Tally, console: Console) -> None:
    """Print all of it."""
    console.print(_heading(trial, tally))
    console.print(_counts(tally))
    for line in _remarks(tally):
        console.print(Text(line, "yellow"))
    for difference in tally.differences[:MAX_SHOWN]:
        console.print(_difference(difference))
    if (more := len(tally.differences) - MAX_SHOWN) > 0:
        console.print(Text(f"… and {more} more; --json has all", "yellow"))


def _heading(trial: Trial, tally: Tally) -> Text:
    said = f"{tally.inputs} inputs asked again in {tally.seconds:.1f} s"
    if tally.is_interrupted:
        said += ", interrupted"
    names = Text.assemble((trial.candidate, "bold"), " beside ", (trial.incumbent, "bold"), ": ")
    return names.append(said)


def _counts(tally: Tally) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for kind, meaning in KINDS.items():
        if count := tally.kinds[kind]:
            style = "green" if kind == "same" else "bold yellow"
            table.add_row(Text(kind.replace("_", " "), style), str(count), Text(meaning, QUIET))
    for why, count in tally.not_asked.most_common():
        table.add_row(Text("not asked", "yellow"), str(count), Text(clean(why)))
    return table


def _remarks(tally: Tally) -> Iterator[str]:
    if tally.masked:
        yield (
            f"of {tally.masked} inputs the secret fields were masked when they were recorded: what"
            " the two would have said about those is not known"
        )
    if tally.left_out:
        yield "later inputs are left out; --limit 0 asks about all"


def _difference(difference: Difference) -> Table:
    event = difference.event
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    name = shorten(f"{event.type} {shorten_middle(event.id, 12)} of {event.source}", MAX_NAME)
    kind = Text(f"\n{difference.kind.replace('_', ' ')}", "bold yellow")
    asked_again = f"  {short_id(difference.asked_again)}"  # for `hookbus decisions explain`
    table.add_row(kind, Text.assemble("\n", name, (asked_again, QUIET)))
    for record in (difference.incumbent, difference.candidate):
        table.add_row(Text(f"  {clean(record.plugin)}"), Text(_said(record)))
    return table


def _said(record: PluginRecord) -> str:
    """``block (secret_found): contains a key``, ``changes /text``, ``failed: timeout: …``"""
    reason = f": {shorten(record.reason, MAX_REASON)}" if record.reason else ""
    if record.failure is not None:
        return f"failed: {record.failure}{reason}"
    match effect(record):
        case "block":
            code = f" ({clean(record.code)})" if record.code else ""
            return f"block{code}{reason}"
        case "intercept":
            pointers = ", ".join(clean(p) or "all" for p in record.pointers[:MAX_POINTERS])
            more = len(record.pointers) - MAX_POINTERS
            said = f"changes {pointers}" + (f" and {more} more" if more > 0 else "")
            return f"{said}  (patch {(record.patch_hash or '')[:8]})"
    return "continue" if record.verdict is not None else "not asked: a condition is false"
