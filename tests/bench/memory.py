"""How much memory a dispatcher takes: idle, and how it grows with the events it decides.

One bus, one validate plugin, the settings as shipped. What the dispatcher keeps of decided events
(once per event, 10,000 of them) fills within the first 20,000 events, which are not measured, so
that filling is told apart from a leak. Bars: less than 90 MB idle, and less than 1 MB more for
every 50,000 events.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from hookbus.broker import EmbeddedBroker
from tests.bench.limits import AtMost, print_limits, print_row
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, rss_mb, until_bound

IN_FLIGHT: Final = 64
MOST_IDLE: Final = 90.0  # MB
MOST_SLOPE: Final = 1.0  # MB for every …
EVENTS: Final = 50_000
COMMAND: Final = ["-m", "tests.bench.plugins", "sdk"]


class Sizes(NamedTuple):
    """In events; the small form of the bench has fewer."""

    before: int = 20_000
    step: int = 25_000
    steps: int = 6


class Results(NamedTuple):
    """In MB; *after* is by events decided since the first 20,000."""

    idle: float
    after: dict[int, float]

    @property
    def slope(self) -> float:
        """By least squares, for every 50,000 events: one point that is off counts little."""
        count = len(self.after)
        middle = sum(self.after) / count
        mean = sum(self.after.values()) / count
        spread = sum((events - middle) ** 2 for events in self.after)
        grown = sum((events - middle) * (mb - mean) for events, mb in self.after.items())
        return grown / spread * EVENTS


ALL: Final = Sizes()
QUICK: Final = Sizes(200, 200, 2)


def run_memory(sizes: Sizes) -> Results:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        started = Started(stack, broker)
        started.start_roles(folder, "hookbus")
        started.start("p1", [*COMMAND, broker.url, "validate", "p1"]).wait_ready()
        asyncio.run(until_bound(broker.url, 1))
        load = started.start(
            "load", ["-m", "tests.bench.load", "sdk", broker.url, "validate", "p1"]
        )
        load.wait_ready()
        dispatcher = started.processes["dispatcher"].pid
        idle = rss_mb(dispatcher)
        load.ask({"in_flight": IN_FLIGHT, "events": sizes.before})
        after = {0: rss_mb(dispatcher)}
        for step in range(1, sizes.steps + 1):
            load.ask({"in_flight": IN_FLIGHT, "events": sizes.step})
            after[step * sizes.step] = rss_mb(dispatcher)
        return Results(idle, after)


def print_memory(results: Results, *, is_quick: bool) -> bool:
    """Print all figures and the bars; tell whether they hold."""
    print(f"\nmemory of the dispatcher, in MB; {IN_FLIGHT} in flight")
    print_row(["events", "rss_mb", "grown"])
    print_row(["idle", f"{results.idle:.1f}"])
    first = results.after[0]
    for events, mb in results.after.items():
        print_row([f"+ {events:,}", f"{mb:.1f}", f"{mb - first:+.2f}"])
    limits = [
        AtMost("MB, idle", results.idle, MOST_IDLE),
        AtMost(f"MB more for {EVENTS:,} events", results.slope, MOST_SLOPE),
    ]
    return print_limits(limits, is_quick=is_quick)


def run_memory_mode(options: Options) -> Outcome:
    """The rounds and events of *options* say nothing here."""
    results = run_memory(QUICK if options.is_quick else ALL)
    figures = {**results._asdict(), "slope": results.slope}
    return Outcome(figures, print_memory(results, is_quick=options.is_quick))
