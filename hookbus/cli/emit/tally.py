"""What became of many events: outcomes, causes, times, and what went wrong. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from hookbus.cli.errors import DONE, UNDECIDED, USAGE
from hookbus.cli.printable import clean
from hookbus.cli.render import BADGES
from hookbus.latency import percentile
from hookbus.measures import BUCKETS_MS, Histogram
from hookbus.models import Decision

MAX_CAUSES: Final = 10  # that are shown
MAX_DISTINCT: Final = 1_000  # that are counted apart; codes are the plugins' own words


@dataclass(slots=True)
class EmitTally:
    """What became of the events so far; its size does not grow with them.

    Attributes:
        causes: of Blocks: ``verdict (secret_found) by redact-secrets``.
        bad_lines: lines that are no event, or were refused as an invalid one.
        undecided: events without a decision, by code.
        seconds: how long it took.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    bad_lines: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    is_interrupted: bool = False
    _times: Histogram = field(default_factory=Histogram)

    @property
    def decided(self) -> int:
        return self.outcomes.total()

    @property
    def lines(self) -> int:
        return self.decided + self.bad_lines + self.undecided.total()

    def add(self, decision: Decision, ms: float) -> None:
        """Count one decision, which took *ms* to come."""
        self.outcomes[decision.outcome] += 1
        self.degraded += decision.degraded
        self._times.observe(ms)
        if decision.outcome == "block":
            code = f" ({decision.code})" if decision.code else ""
            by = f" by {decision.by}" if decision.by else ""
            cause = clean(f"{decision.cause}{code}{by}")
            is_kept = cause in self.causes or len(self.causes) < MAX_DISTINCT
            self.causes[cause if is_kept else "another cause"] += 1

    def percentile(self, share: float) -> float | None:
        """Return milliseconds, read from a histogram."""
        return percentile(self._times.as_dict(), BUCKETS_MS, share)

    @property
    def exit_code(self) -> int:
        """Every line was decided; or one could not be; or one is no event."""
        if self.undecided:
            return UNDECIDED
        return USAGE if self.bad_lines else DONE

    def to_json(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "outcomes": dict(self.outcomes),
            "causes": dict(self.causes),
            "degraded": self.degraded,
            "bad_lines": self.bad_lines,
            "undecided": dict(self.undecided),
            "p50_ms": self.percentile(0.5),
            "p99_ms": self.percentile(0.99),
            "seconds": round(self.seconds, 3),
            "interrupted": self.is_interrupted,
        }


def render_tally(tally: EmitTally) -> Table:
    """Return the summary as a table of labels and figures."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    per_second = f"{tally.lines / tally.seconds:.0f} a second" if tally.seconds else ""
    said = ", interrupted" if tally.is_interrupted else ""
    grid.add_row(
        Text("lines", "bold"), str(tally.lines), f"{tally.seconds:.1f} s, {per_second}{said}"
    )
    for outcome, (_, style) in BADGES.items():
        if count := tally.outcomes[outcome]:
            grid.add_row(Text(outcome, style), str(count), "")
    for cause, count in tally.causes.most_common(MAX_CAUSES):
        grid.add_row(Text("  of these", "dim"), str(count), Text(cause))
    if tally.degraded:
        grid.add_row(Text("degraded", "yellow"), str(tally.degraded), "a plugin failed open")
    if tally.bad_lines:
        grid.add_row(Text("no event", "bold red"), str(tally.bad_lines), "said above, by line")
    for code, count in tally.undecided.items():
        grid.add_row(Text("undecided", "bold red"), str(count), Text(code))
    p50, p99 = tally.percentile(0.5), tally.percentile(0.99)
    if p50 is not None and p99 is not None:
        grid.add_row("time", "", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, as the emitter saw it")
    return grid
