"""One decision in full, for a person at three in the morning. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hookbus.cli.decisions.generations import Change, Generation, Generations
from hookbus.cli.decisions.record_words import note_in_words, resolution_in_words, said
from hookbus.cli.decisions.rows import Rows
from hookbus.cli.decisions.time_line import Bar, bars, drawn, total_ms
from hookbus.cli.printable import clean, compact, shorten
from hookbus.cli.render import BADGES
from hookbus.decision_log.reader import stamp
from hookbus.decision_log.records import Recorded
from hookbus.models import Decision, PluginRecord

QUIET: Final = "dim"
LABEL: Final = 11  # columns
NAME: Final = 24  # columns of a plugin's name in the time line
BAR: Final = 26  # columns
MAX_VALUE: Final = 60  # characters of a setting's value
MAX_GENERATIONS: Final = 8  # that are shown
MAX_CHANGES: Final = 6  # of one generation that are shown
OTHERS_SHOWN: Final = 10
WIDTH: Final = 80

_FAILURE: Final = "red"
_WARNING: Final = "yellow"
Match = tuple[str, Recorded]


def render(
    recorded: Recorded,
    beside: Sequence[PluginRecord],
    generations: Generations,
    steps: Sequence[str],
    others: Sequence[Match] = (),
) -> RenderableType:
    """Return what to print; *beside* are the shadow records, *others* what else was found."""
    decision = recorded.decision
    parts: list[RenderableType] = [_heading(recorded), _facts(decision)]
    if decision.records or beside:
        parts += [_title("time line"), _time_line(decision.records, beside)]
    for title, records in (("records", decision.records), ("in shadow, not counted", beside)):
        if records:
            parts += [_title(title), *(_record(record) for record in records)]
    parts += [_title("configuration"), *_configuration(decision, generations)]
    if steps:
        parts += [_title("next"), *(_item(Text(step)) for step in steps)]
    if others:
        parts += [_title(f"{len(others)} more with that id"), *_others(others)]
    return Group(*parts)


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _item(line: Text) -> RenderableType:
    grid = _grid(2)
    grid.add_row("-", line)
    return Padding(grid, (0, 0, 0, 2))


def _grid(width: int) -> Table:
    """A label, and beside it what may take several lines."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width, style=QUIET, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _heading(recorded: Recorded) -> Text:
    decision = recorded.decision
    sign, style = BADGES[decision.outcome]
    line = Text.assemble((f"{sign} {decision.outcome}", style), "  ")
    line.append(clean(decision.event.type), "bold")
    line.append(f"  {stamp(recorded.at)}", QUIET)
    for word, is_so in (("dry run", decision.dry_run), ("degraded", decision.degraded)):
        if is_so:
            line.append(f"  {word}", _WARNING)
    return line


def _facts(decision: Decision) -> RenderableType:
    grid = _grid(LABEL)
    event = decision.event
    rows: list[tuple[str, str, str]] = [
        ("decision", decision.id, ""),
        ("event", f"{event.id} from {event.source}", ""),
        ("emitted by", decision.principal or "?", ""),
        ("trace", decision.trace_id or "", ""),
        ("cause", _cause(decision), _FAILURE),
        ("reason", decision.reason or "", ""),
        ("to the user", decision.message or "", ""),
    ]
    rows += [
        ("also", f"{_kind(other.cause, other.code)}: {other.reason}", "")
        for other in decision.others
    ]
    rows += [("warning", warning, _WARNING) for warning in decision.warnings]
    rows += [("conflict", _conflict(conflict), _WARNING) for conflict in decision.conflicts]
    rows += [("changed", line, "") for line in _changed(decision)]
    if decision.masked:
        rows.append(("masked", f"{', '.join(decision.masked)} (secret: not recorded)", ""))
    if decision.degraded:
        rows.append(("degraded", "an enforced plugin failed, and was let pass (open)", _WARNING))
    if decision.dry_run:
        rows.append(("dry run", "nothing was to change in the world; not observed", ""))
    for label, value, style in rows:
        if value:
            grid.add_row(label, Text(clean(value), style))
    return Padding(grid, (0, 0, 0, 2))


def _cause(decision: Decision) -> str:
    if decision.outcome != "block":
        return ""
    return f"{decision.by or 'nobody in particular'}: {_kind(decision.cause, decision.code)}"


def _kind(cause: str | None, code: str | None) -> str:
    return f"{cause or '?'} ({code})" if code else cause or "?"


def _conflict(conflict: dict[str, Any]) -> str:
    path, winner, loser = (str(conflict.get(k, "?")) for k in ("path", "winner", "loser"))
    return f"{path or 'everything'}: {winner} wrote over what {loser} had written"


def _changed(decision: Decision) -> Iterator[str]:
    changes = [record for record in decision.records if record.mutated]
    for record in changes:
        yield f"{', '.join(map(_pointer, record.pointers))} by {record.plugin}"
    if changes:
        yield "(values are not recorded, only where and by whom)"


def _pointer(pointer: str) -> str:
    return pointer or "everything"


def _time_line(records: Sequence[PluginRecord], beside: Sequence[PluginRecord]) -> RenderableType:
    placed = bars(records, beside)
    total = total_ms(placed)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style=QUIET)
    grid.add_column(width=NAME, overflow="ellipsis", no_wrap=True)
    grid.add_column(width=BAR, no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    phase = ""
    for bar in placed:
        now = "shadow" if bar.is_beside else bar.record.phase
        grid.add_row("" if now == phase else now, *_bar_cells(bar, total))
        phase = now
    grid.add_row("", "", Text("0".ljust(BAR), QUIET), Text(f"{total:.1f} ms in all", QUIET))
    return Padding(grid, (0, 0, 0, 2))


def _bar_cells(bar: Bar, total: float) -> tuple[Text, Text, Text]:
    record = bar.record
    style = _FAILURE if record.failure else BADGES.get(record.verdict or "", ("", QUIET))[1]
    name = clean(record.plugin) + (f" (round {record.round})" if record.round > 1 else "")
    took = f"{record.ms:.1f} ms" if bar.is_asked else "not asked"
    return Text(name), Text(drawn(bar, total, BAR), style), Text(took)


def _record(record: PluginRecord) -> RenderableType:
    """Show all that a record says."""
    heading = Text.assemble((clean(f"{record.plugin}/{record.hook}"), "bold"))
    heading.append(f" {clean(record.version)}", QUIET)
    heading.append(f"  {said(record)}", _FAILURE if record.failure else "")
    grid = _grid(LABEL)
    asked = f"{record.phase}, mode {record.mode}, {_attempts(record)}, round {record.round}"
    rows = [
        ("asked", asked),
        ("came to", resolution_in_words(record)),
        ("reason", record.reason or ""),
        ("code", record.code or ""),
        ("changed", ", ".join(map(_pointer, record.pointers))),
        ("patch", f"sha256 {record.patch_hash}" if record.patch_hash else ""),
        *(("note", note_in_words(note)) for note in record.notes),
        *((shorten(key, LABEL), value) for key, value in record.annotations.items()),
    ]
    for label, value in rows:
        if value:
            grid.add_row(label, Text(clean(value)))
    return Group(Padding(heading, (0, 0, 0, 2)), Padding(grid, (0, 0, 0, 4)))


def _attempts(record: PluginRecord) -> str:
    if not record.attempt:
        return "not called"
    return f"{record.ms:.1f} ms, attempt {record.attempt}"


def _configuration(decision: Decision, generations: Generations) -> Iterator[RenderableType]:
    used = generations.of(decision.generation)
    line = f"generation {decision.generation}"
    yield Padding(Text(clean(f"{line}: {_maker(used)}" if used else line)), (0, 0, 0, 2))
    if generations.problem is not None:
        unknown = Text(f"what changed since is not known: {clean(generations.problem)}", _WARNING)
        yield Padding(unknown, (0, 0, 0, 2))
        return
    newer = generations.since(decision.generation)
    if not newer:
        yield Padding(Text("nothing has changed since"), (0, 0, 0, 2))
        return
    yield Padding(Text(f"changed since, newest first ({len(newer)}):"), (0, 0, 0, 2))
    for made in newer[:MAX_GENERATIONS]:
        yield Padding(Text(clean(f"{made.generation}: {_maker(made)}")), (0, 0, 0, 4))
        for text in _changes(made.changes):
            yield Padding(Text(text, QUIET), (0, 0, 0, 6))
    if len(newer) > MAX_GENERATIONS:
        yield _item(Text("'hookbus settings history' shows the others"))


def _maker(made: Generation) -> str:
    return f"{made.what or 'made'} by {made.by or '?'} at {made.at or '?'}"


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes[:MAX_CHANGES]:
        yield clean(f"{change.key}: {_value(change.before)} → {_value(change.after)}")
    if len(changes) > MAX_CHANGES:
        yield f"… and {len(changes) - MAX_CHANGES} more"


def _value(value: Any) -> str:
    return "not said" if value is None else shorten(compact(value), MAX_VALUE)


def _others(others: Sequence[Match]) -> Iterator[RenderableType]:
    rows = Rows(WIDTH - 2)
    for _, recorded in others[-OTHERS_SHOWN:]:
        for line in rows.lines(recorded):
            yield Padding(line, (0, 0, 0, 2))
