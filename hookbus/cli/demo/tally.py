"""What a run of the demo came to: outcomes, labels met, and the plugins' work in figures. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hookbus.cli.demo.conversation import Line
from hookbus.models import Decision, PluginRecord


@dataclass(frozen=True, slots=True)
class Miss:
    """A decision that was not as labelled; *number* counts the events from 1."""

    number: int
    line: Line
    decision: Decision


@dataclass(slots=True)
class PluginTally:
    """What one plugin did; *ms* has one entry for each call that was made."""

    intercepted: int = 0
    blocked: int = 0
    failed: int = 0
    ms: list[float] = field(default_factory=list)

    def add(self, record: PluginRecord) -> None:
        self.intercepted += record.mutated
        self.blocked += record.verdict == "block"
        self.failed += record.failure is not None
        if record.attempt:
            self.ms.append(record.ms)

    def to_json(self) -> dict[str, Any]:
        return {
            "asked": len(self.ms),
            "intercepted": self.intercepted,
            "blocked": self.blocked,
            "failed": self.failed,
            "p50_ms": percentile(self.ms, 50),
            "p99_ms": percentile(self.ms, 99),
        }


@dataclass(slots=True)
class Tally:
    """Everything that was decided so far.

    Attributes:
        ms: milliseconds from each emit to its decision, as the emitter saw them.
        observed: events that audit-log wrote down, None without it.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    plugins: dict[str, PluginTally] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    observed: int | None = None

    @property
    def events(self) -> int:
        return len(self.ms)

    @property
    def met(self) -> int:
        return self.events - len(self.misses)

    @property
    def is_last_met(self) -> bool:
        """Tell whether the latest decision is as labelled."""
        return not self.misses or self.misses[-1].number != self.events

    def add(self, line: Line, decision: Decision, ms: float) -> None:
        """Count one decision, which took *ms* to come."""
        self.outcomes[decision.outcome] += 1
        self.ms.append(ms)
        for record in decision.records:
            self.plugins.setdefault(record.plugin, PluginTally()).add(record)
        if not line.is_met_by(decision):
            self.misses.append(Miss(self.events, line, decision))

    def to_json(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "met": self.met,
            "observed": self.observed,
            "outcomes": {name: self.outcomes[name] for name in ("continue", "intercept", "block")},
            "p50_ms": percentile(self.ms, 50),
            "p99_ms": percentile(self.ms, 99),
            "plugins": {name: plugin.to_json() for name, plugin in self.plugins.items()},
            "misses": [
                {
                    "n": miss.number,
                    "expect": miss.line.expect,
                    "by": miss.line.by,
                    "got": miss.decision.outcome,
                    "got_by": miss.decision.by,
                    "reason": miss.decision.reason,
                }
                for miss in self.misses
            ],
        }


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the nearest-rank percentile: a value that occurs; None of no values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
