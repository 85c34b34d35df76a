"""What a decision costs with many bindings, large payloads, many events at once.

A bus for each number of bindings, all alive and measured in turn. Five hooks of one plugin match
the event; all others were announced to the registry like any (tests/bench/announced.py), which
wrote them into KV, from where the dispatcher has them. Payloads and events in flight are measured
on the bus that has those five only. Bar: with 10,000 bindings a decision costs the dispatcher at
most 10 % more CPU than with the five.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.snapshot import Snapshot, decode_document
from hookbus.transport import NatsTransport
from tests.bench.announced import Bound, announced
from tests.bench.limits import AtMost, print_limits, print_row
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, rss_mb, until_bound

MATCHING: Final = 5
BINDINGS: Final = (1, MATCHING, 100, 1_000, 10_000)
PAYLOADS_KB: Final = (1, 10, 100)
IN_FLIGHT: Final = (1, 8, 64, 256, 1_000)
AT_ONCE: Final = 64  # where that is not what is looked at
MOST: Final = 1.10

#: Argument: how many hooks it has.
PLUGIN: Final = """
import sys
from hookbus import HookEvent, Plugin
plugin = Plugin("p1", version="1.0.0")
async def look(event: HookEvent) -> None: ...
for number in range(int(sys.argv[1])):
    plugin.hook("message_received", phase="validate", name=f"look-{number}", timeout_ms=5000)(look)
plugin.run()
"""

Figures = dict[str, float]


class Point(NamedTuple):
    """One place of a table."""

    bindings: int = MATCHING
    kilobytes: int = 1
    in_flight: int = AT_ONCE


class Sizes(NamedTuple):
    """Where each table is measured; the small form of the bench has fewer."""

    bindings: Sequence[int] = BINDINGS
    kilobytes: Sequence[int] = PAYLOADS_KB
    in_flight: Sequence[int] = IN_FLIGHT

    @property
    def base(self) -> Point:
        """What all else is set against."""
        return Point(bindings=MATCHING if MATCHING in self.bindings else self.bindings[0])

    def tables(self) -> dict[str, list[Point]]:
        return {
            "bindings": [Point(bindings=count) for count in self.bindings],
            "payload, KB": [self.base._replace(kilobytes=size) for size in self.kilobytes],
            "in flight": [self.base._replace(in_flight=count) for count in self.in_flight],
        }


ALL: Final = Sizes()
QUICK: Final = Sizes((150,), (1, 10), (1, AT_ONCE))
Results = dict[Point, list[Figures]]


class Loading(NamedTuple):
    """The configuration document, and how long a dispatcher decides nothing while it loads it.

    Attributes:
        first, again: seconds of CPU; conditions that the generation before had are compiled.
    """

    compressed: int
    plain: int
    first: float
    again: float


def start(stack: ExitStack, bindings: int) -> tuple[Started, Bound]:
    """Start one bus with that many bindings, and its load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    started.start_roles(folder, "hookbus")
    matching = min(bindings, MATCHING)
    environ = {"HOOKBUS_NATS_URL": broker.url}
    started.start("p1", ["-c", PLUGIN, str(matching)], environ)
    asyncio.run(until_bound(broker.url, matching))
    bound = announced(broker.url, bindings - matching)
    started.start("load", ["-m", "tests.bench.load", "sized", broker.url, "validate"]).wait_ready()
    return started, bound


def measure(started: Started, point: Point, events: int) -> Figures:
    """Run one load; the dispatcher's CPU in microseconds per event."""
    events = max(events // (10 if point.kilobytes >= 100 else 1), 4 * point.in_flight)
    before = started.cpu()
    figures: Figures = started.processes["load"].ask(
        {"in_flight": point.in_flight, "events": events, "bytes": point.kilobytes * 1_000}
    )
    spent = {name: seconds - before[name] for name, seconds in started.cpu().items()}
    figures["cpu_dispatcher_us"] = spent["dispatcher"] * 1e6 / events
    figures["cpu_all_us"] = sum(spent.values()) * 1e6 / events
    figures["rss_mb"] = rss_mb(started.processes["dispatcher"].pid)
    return figures


async def loading(url: str) -> Loading:
    """Load what the dispatcher of *url* loaded, in this process."""
    transport = await NatsTransport.connect(url)
    try:
        bucket = await transport.jetstream.key_value(subjects.CONFIG_BUCKET)
        value = (await bucket.get(subjects.CONFIG_KEY)).value or b""
    finally:
        await transport.close()
    took = []
    for generation in range(1, 6):
        begun = time.thread_time()
        Snapshot.of(generation, decode_document(value))
        took.append(time.thread_time() - begun)
    return Loading(len(value), len(zlib.decompress(value)), took[0], statistics.median(took[1:]))


def run_scale(
    rounds: int, events: int, sizes: Sizes = ALL
) -> tuple[Results, dict[int, Bound], dict[int, Loading]]:
    """Measure every point in every round, each time in another order."""
    points = list(dict.fromkeys(point for table in sizes.tables().values() for point in table))
    results: Results = {point: [] for point in points}
    with ExitStack() as stack:
        started = {count: start(stack, count) for count in sizes.bindings}
        for point in points:  # warm: a plugin's and an emitter's first events are slower
            measure(started[point.bindings][0], point, events // 4)
        for number in range(rounds):
            turn = number % len(points)
            for point in points[turn:] + points[:turn]:
                results[point].append(measure(started[point.bindings][0], point, events))
        loads = {n: asyncio.run(loading(bus.url)) for n, (bus, _) in started.items()}
    return results, {count: bound for count, (_, bound) in started.items()}, loads


def ratio(results: Results, point: Point, key: str, base: Point) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(results[point], results[base], strict=True)
    return statistics.median(one[key] / other[key] for one, other in pairs)


def print_table(name: str, points: Sequence[Point], results: Results, base: Point) -> None:
    print(f"\n{name}   (CPU of dispatcher and of everybody, in µs per event)")
    print_row([name, "disp_cpu", "×base", "all_cpu", "p50_us", "p99_us", "ev/s", "rss_mb"])
    for point in points:
        print_row([label(name, point), *cells(point, results, base)])


def label(name: str, point: Point) -> str:
    of = {"bindings": point.bindings, "in flight": point.in_flight}
    return f"{of.get(name, point.kilobytes):,}"


def cells(point: Point, results: Results, base: Point) -> list[str]:
    def median(key: str) -> float:
        return statistics.median(figures[key] for figures in results[point])

    return [
        f"{median('cpu_dispatcher_us'):.1f}",
        f"{ratio(results, point, 'cpu_dispatcher_us', base):.2f}",
        *(f"{median(key):.0f}" for key in ("cpu_all_us", "p50_us", "p99_us")),
        f"{median('events_per_second'):.0f}",
        f"{median('rss_mb'):.0f}",
    ]


def print_bound(bound: Mapping[int, Bound], loads: Mapping[int, Loading]) -> None:
    print("\nbindings announced and loaded   (milliseconds, KB)")
    print_row(
        ["bindings", "all_ms", "last_ms", "served_ms", "kv_kb", "json_kb", "load_ms", "again_ms"]
    )
    for count, took in bound.items():
        load = loads[count]
        times = [f"{seconds * 1000:.0f}" for seconds in took]
        sizes = [f"{size / 1000:.1f}" for size in (load.compressed, load.plain)]
        loaded = [f"{seconds * 1000:.1f}" for seconds in (load.first, load.again)]
        print_row([f"{count:,}", *times, *sizes, *loaded])


def run_scale_mode(options: Options) -> Outcome:
    sizes = QUICK if options.is_quick else ALL
    results, bound, loads = run_scale(options.rounds, options.events, sizes)
    for name, points in sizes.tables().items():
        print_table(name, points, results, sizes.base)
    print_bound(bound, loads)
    most = max(sizes.bindings)
    found = ratio(results, Point(bindings=most), "cpu_dispatcher_us", sizes.base)
    bar = AtMost(f"{most:,} bindings of which {MATCHING} match: CPU, × {MATCHING}", found, MOST)
    figures: dict[str, Any] = {
        "points": [{**point._asdict(), "rounds": results[point]} for point in results],
        "bound": {count: took._asdict() for count, took in bound.items()},
        "loading": {count: load._asdict() for count, load in loads.items()},
    }
    return Outcome(figures, print_limits([bar], is_quick=options.is_quick))
