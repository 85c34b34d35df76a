"""Where a run of the demo is shown: on a terminal, or as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TextIO

import msgspec
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from hookbus.cli.changes import QUIET
from hookbus.cli.demo.conversation import Line
from hookbus.cli.demo.tally import Miss, PluginTally, Tally
from hookbus.cli.printable import shorten
from hookbus.cli.render import BADGES, INDENT, render_decision
from hookbus.models import Decision

MISSES_SHOWN: Final = 5


class Stage(Protocol):
    """What the demo tells while it runs, in this order."""

    def starting(self) -> AbstractContextManager[object]:
        """Tell that the processes are being started, until the context ends."""
        ...

    def started(self, pids: Mapping[str, int]) -> None: ...

    def decided(self, line: Line, decision: Decision, tally: Tally) -> None: ...

    def ended(self, tally: Tally) -> None: ...


class JsonStage:
    """One object a line, and nothing else."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def starting(self) -> AbstractContextManager[object]:
        return nullcontext()

    def started(self, pids: Mapping[str, int]) -> None:
        self._write({"started": dict(pids)})

    def decided(self, line: Line, decision: Decision, tally: Tally) -> None:
        self._write(
            {
                "n": tally.events,
                "type": line.type,
                "label": line.label,
                "expect": line.expect,
                "by": line.by,
                "met": tally.is_last_met,
                "ms": tally.ms[-1],
                "data": line.data,
                "decision": decision,
            }
        )

    def ended(self, tally: Tally) -> None:
        self._write({"summary": tally.to_json()})

    def _write(self, value: dict[str, Any]) -> None:
        # a reader acts on a line while the demo runs, so it must not wait in a buffer
        print(msgspec.json.encode(value).decode(), file=self._file, flush=True)


class TerminalStage:
    """For people: each event as it is decided, then a table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thread = ""

    def starting(self) -> AbstractContextManager[object]:
        if not self._console.is_terminal:
            return nullcontext()
        return self._console.status("starting a broker, the bus and its plugins")

    def started(self, pids: Mapping[str, int]) -> None:
        self._console.print(
            Text.assemble(("hookbus demo", "bold"), ("  each of these is a process", QUIET))
        )
        for line in _packed(pids, self._console.width):
            self._console.print(line)
        if self._console.is_terminal and (victim := pids.get("redact-secrets")):
            advice = f"try in another terminal: kill -9 {victim}, and see what is decided then"
            self._console.print(Text(advice, QUIET))

    def decided(self, line: Line, decision: Decision, tally: Tally) -> None:
        if line.thread != self._thread:
            self._thread = line.thread
            self._console.print()
            self._console.print(Rule(Text(line.thread, "bold"), align="left", style=QUIET))
        self._console.print(render_decision(decision, line.data, label=line.label, is_brief=True))
        if not tally.is_last_met:
            self._console.print(
                Text(f"{'':{INDENT}}not as labelled: expected {_expected(line)}", "bold magenta")
            )

    def ended(self, tally: Tally) -> None:
        self._console.print()
        self._console.print(Rule(Text("Summary", "bold"), align="left", style=QUIET))
        self._console.print(_outcomes(tally))
        self._console.print()
        self._console.print(_plugins(tally))
        if tally.observed is not None:
            observed = f"audit-log observed {tally.observed} of {tally.events} events"
            self._console.print(Text(observed, QUIET))
        self._console.print()
        self._console.print(_labels(tally))
        for miss in tally.misses[:MISSES_SHOWN]:
            self._console.print(_miss(miss))
        if len(tally.misses) > MISSES_SHOWN:
            self._console.print(Text(f"  … and {len(tally.misses) - MISSES_SHOWN} more", QUIET))


def _packed(pids: Mapping[str, int], width: int) -> list[Text]:
    lines = [Text()]
    for name, pid in pids.items():
        process = Text.assemble(f"{shorten(name, 40)} ", (str(pid), QUIET))
        if lines[-1] and lines[-1].cell_len + process.cell_len + 3 > width:
            lines.append(Text())
        lines[-1].append("   " if lines[-1] else "").append_text(process)
    return lines


def _outcomes(tally: Tally) -> Text:
    line = Text(f"{tally.events} events")
    for outcome, (sign, style) in BADGES.items():
        line.append("   ").append(f"{sign} {tally.outcomes[outcome]} {outcome}", style)
    return line


def _plugins(tally: Tally) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 3), pad_edge=False, header_style=QUIET)
    table.add_column("plugin")
    for heading in ("asked", "intercepted", "blocked", "failed", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, plugin in tally.plugins.items():
        table.add_row(Text(shorten(name, 40)), *_figures(plugin))
    p50, p99 = _percentiles(tally.to_json())
    table.add_row(Text("emit to decision", QUIET), str(tally.events), "", "", "", p50, p99)
    return table


def _figures(plugin: PluginTally) -> list[Text | str]:
    figures = plugin.to_json()
    counts = [
        Text(str(figures[key]), style if figures[key] else QUIET)
        for key, style in (
            ("asked", ""),
            ("intercepted", "yellow"),
            ("blocked", "red"),
            ("failed", "bold red"),
        )
    ]
    return [*counts, *_percentiles(figures)]


def _percentiles(figures: Mapping[str, Any]) -> list[str]:
    return ["-" if figures[k] is None else f"{figures[k]:.1f}" for k in ("p50_ms", "p99_ms")]


def _labels(tally: Tally) -> Text:
    text = f"labels met: {tally.met} of {tally.events}"
    return Text(text, "bold green" if not tally.misses else "bold magenta")


def _miss(miss: Miss) -> Text:
    got = miss.decision.reason or miss.decision.outcome
    return Text.assemble(
        (f"  {miss.number:>3} ", QUIET),
        f"{miss.line.label}: expected {_expected(miss.line)}, got {miss.decision.outcome}: ",
        shorten(got, 200),
    )


def _expected(line: Line) -> str:
    return f"{line.expect} by {line.by}" if line.by else line.expect
