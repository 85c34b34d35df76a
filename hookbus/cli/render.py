"""What a decision looks like on a terminal: outcome, who and why, what was changed. Pure.

Reasons, messages and payloads come from elsewhere: they are shown as plain text, never as Rich
markup, and without control characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from hookbus.cli.changes import QUIET, changes
from hookbus.cli.printable import clean, compact, shorten
from hookbus.models import Decision, PluginRecord

#: outcome → (sign, style); the word itself stands beside the sign, colours are only a help.
BADGES: Final = {
    "continue": ("✓", "green"),
    "intercept": ("~", "yellow"),
    "block": ("✗", "bold red"),
}
INDENT: Final = 13  # columns of sign and outcome
HANG: Final = 2  # columns that the rest of a long line is indented by
LABEL_WIDTH: Final = 100  # columns from which on there is room for a label

_MAX_REASON: Final = 600  # characters; what to do about it often stands last
_MAX_NAME: Final = 64
_VERBS: Final = {"verdict": "blocked it", "failure": "failed", "deadline": "ran out of time"}


def render_decision(
    decision: Decision, event_data: Any, *, label: str = "", is_brief: bool = False
) -> RenderableType:
    """Return what to print for *decision* about an event whose data was *event_data*.

    *label* says in a few words what the event is; it is shown where there is room. *is_brief*
    leaves out what is meant for the end user.
    """
    return _DecisionView(decision, event_data, label, is_brief)


def authors(decision: Decision) -> tuple[str, ...]:
    """Return who made the outcome what it is: who blocked, or all who changed something."""
    if decision.outcome == "block":
        return (decision.by,) if decision.by else ()
    return tuple(dict.fromkeys(record.plugin for record in decision.records if record.mutated))


def timings(decision: Decision) -> Text:
    """Return the milliseconds of each plugin: ``redact-secrets 0.8 · guard-tools 0.6 ms``."""
    if not decision.records:
        return Text("no plugin was asked", style=QUIET)
    last = next((record for record in reversed(decision.records) if record.attempt), None)
    return Text(" · ", style=QUIET).join(
        _timing(record, " ms" if record is last else "") for record in decision.records
    )


def _timing(record: PluginRecord, unit: str) -> Text:
    took = "not asked" if record.attempt == 0 else f"{record.ms:.1f}"
    line = Text.assemble((f"{shorten(record.plugin, _MAX_NAME)} ", QUIET))
    return line.append(took, style="red" if record.failure else "").append(unit, style=QUIET)


def decision_lines(
    decision: Decision, event_data: Any, *, length: int = 150, is_brief: bool = False
) -> list[Text]:
    """Return what is said below the heading; *length* bounds the characters of the payload."""
    if decision.outcome == "intercept":
        lines = _interception(decision, event_data)
    else:
        lines = [Text(shorten(payload(event_data), length))]
    if decision.outcome == "block":
        lines.append(_objection(decision))
        if decision.message and not is_brief:
            lines.append(Text(f"to the user: {shorten(decision.message, _MAX_REASON)}", QUIET))
    lines += [
        Text.assemble(("also ", QUIET), shorten(other.reason, _MAX_REASON))
        for other in decision.others
    ]
    lines += [
        Text.assemble(("warning ", "yellow"), shorten(warning, _MAX_REASON))
        for warning in decision.warnings
    ]
    return lines + [_open_failure(r) for r in decision.records if r.resolution == "failed_open"]


def payload(data: Any) -> str:
    """Say in one line what an event carries; the texts and tool calls that we know, plainly."""
    match data:
        case {"text": str(text)}:
            return text
        case {"name": str(), "args": dict(args)}:
            return "  ".join(f"{name}: {compact(value)}" for name, value in args.items())
    return compact(data)


def _subject(data: Any) -> str:
    match data:
        case {"name": str(name), "args": dict()} | {"text": str(), "user": str(name)}:
            return name
    return ""


def _interception(decision: Decision, event_data: Any) -> list[Text]:
    found = changes(event_data, decision.data)
    changers = [_changer(record) for record in decision.records if record.mutated]
    if len(found) == len(changers) == 1:
        return [changers[0], *found[0].lines]
    lines = list(changers)
    for path, sides in found:
        lines += [Text(path, QUIET), *sides]
    return lines


def _changer(record: PluginRecord) -> Text:
    where = shorten(", ".join(record.pointers) or "it", 120)
    line = Text.assemble((clean(record.plugin), "bold yellow"), (f" changed {where}", "yellow"))
    notes = ", ".join(f"{name} {value}" for name, value in record.annotations.items())
    return line.append(f" ({shorten(notes, 120)})", style=QUIET) if notes else line


def _objection(decision: Decision) -> Text:
    who = decision.by or "hookbus"
    reason = (decision.reason or "blocked").removeprefix(f"{who}: ")
    verb = _VERBS.get(decision.cause or "", shorten(decision.cause or "blocks", _MAX_NAME))
    line = Text.assemble((clean(who), "bold red"), (f" {verb}: ", "red"))
    line.append(shorten(reason, _MAX_REASON))
    if decision.code and not reason.startswith(decision.code):
        line.append(f" ({shorten(decision.code, _MAX_NAME)})", style=QUIET)
    return line


def _open_failure(record: PluginRecord) -> Text:
    said = f"{record.failure}: {record.reason}" if record.reason else str(record.failure)
    return Text.assemble(
        (clean(record.plugin), "bold yellow"),
        (" failed open: ", "yellow"),
        shorten(said, _MAX_REASON),
    )


@dataclass(frozen=True, slots=True)
class _DecisionView:
    decision: Decision
    data: Any
    label: str
    is_brief: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(20, options.max_width - INDENT)
        heading, times = self._heading(), timings(self.decision)
        room = width - heading.cell_len - times.cell_len
        if options.max_width >= LABEL_WIDTH and cell_len(self.label) + 4 <= room:
            heading.append(f"  {clean(self.label)}", style="italic dim")
            room = width - heading.cell_len - times.cell_len
        lines = decision_lines(
            self.decision, self.data, length=2 * width - 4, is_brief=self.is_brief
        )
        if room >= 2:
            heading.append(" " * room).append_text(times)
        else:
            lines.append(times)
        sign, style = BADGES[self.decision.outcome]
        badge = Text.assemble((f"{sign} {self.decision.outcome}".ljust(INDENT), style))
        yield badge.append_text(heading)
        for line in lines:
            for index, part in enumerate(line.wrap(console, width - HANG, overflow="fold")):
                part.rstrip()
                yield Text(" " * (INDENT + (HANG if index else 0))).append_text(part)

    def _heading(self) -> Text:
        heading = Text.assemble((shorten(self.decision.event.type, _MAX_NAME), QUIET))
        if subject := _subject(self.data):
            heading.append(f" {shorten(subject, _MAX_NAME)}", style="cyan")
        if self.decision.dry_run:
            heading.append(" dry run", style="italic")
        return heading
