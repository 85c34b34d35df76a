"""What a second dispatcher costs, or brings: one beside two, on a broker each, measured in turn.

Both have the same three validate plugins and one emitter. On two cores the replicas share what one
had alone: a second one is for the day on which the first is gone.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, until_bound

COUNTS: Final = (1, 2)
PLUGINS: Final = ("p1", "p2", "p3")
IN_FLIGHT: Final = 64
Figures = dict[str, float]
Results = dict[int, dict[str, list[Figures]]]  # by dispatchers, then "sequential" or "in_flight"


def start(stack: ExitStack, dispatchers: int) -> Started:
    """Start a bus with that many dispatchers, its plugins and its load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    started.start_roles(folder, "hookbus")
    for number in range(2, dispatchers + 1):
        serve = ["-m", "hookbus", "serve", "dispatcher", "--http", "127.0.0.1:0"]
        started.start(f"dispatcher-{number}", serve, {"HOOKBUS_NATS_URL": broker.url})
    for plugin in PLUGINS:
        command = ["-m", "tests.bench.plugins", "sdk", broker.url, "validate", plugin]
        started.start(plugin, command).wait_ready()
    asyncio.run(_until_there(broker.url, dispatchers))
    asyncio.run(until_bound(broker.url, len(PLUGINS)))
    load = ["-m", "tests.bench.load", "sdk", broker.url, "validate", *PLUGINS]
    started.start("load", load).wait_ready()
    return started


async def _until_there(url: str, dispatchers: int) -> None:
    transport = await NatsTransport.connect(url)
    try:
        for _ in range(100):
            if len(await presence.ask(transport, "PING", "hookbus-dispatcher")) == dispatchers:
                return
        raise SystemExit(f"{dispatchers} dispatchers were not there within 10 s")
    finally:
        await transport.close()


def measure(started: Started, in_flight: int, events: int) -> Figures:
    """Run one load; CPU in microseconds per event, of all dispatchers together and of everybody."""
    before = started.cpu()
    figures: Figures = started.processes["load"].ask({"in_flight": in_flight, "events": events})
    spent = {name: seconds - before[name] for name, seconds in started.cpu().items()}
    dispatchers = sum(cpu for name, cpu in spent.items() if name.startswith("dispatcher"))
    figures["cpu_dispatchers_us"] = dispatchers * 1e6 / events
    figures["cpu_all_us"] = sum(spent.values()) * 1e6 / events
    return figures


def run_replicas(rounds: int, events: int) -> Results:
    """Measure both in every round, each time in another order."""
    results: Results = {count: {"sequential": [], "in_flight": []} for count in COUNTS}
    with ExitStack() as stack:
        running = {count: start(stack, count) for count in COUNTS}
        for started in running.values():
            measure(started, IN_FLIGHT, events // 2)  # warm
        for number in range(rounds):
            order = COUNTS if number % 2 else COUNTS[::-1]
            for count in order:
                results[count]["sequential"].append(measure(running[count], 1, events // 5))
            for count in order:
                results[count]["in_flight"].append(measure(running[count], IN_FLIGHT, events))
    return results


#: By title: one at a time or 64 in flight (``@``), and which of the figures.
COLUMNS: Final = {
    "p50_us": ("sequential", "p50_us"),
    "p99_us": ("sequential", "p99_us"),
    "ev/s@": ("in_flight", "events_per_second"),
    "p50_us@": ("in_flight", "p50_us"),
    "p99_us@": ("in_flight", "p99_us"),
    "disp_cpu@": ("in_flight", "cpu_dispatchers_us"),
    "all_cpu@": ("in_flight", "cpu_all_us"),
}


def rows(results: Results) -> Iterator[list[str]]:
    """The medians of the rounds, and the medians of the rounds' ratios."""
    columns = {
        count: [[figures[key] for figures in found[load]] for load, key in COLUMNS.values()]
        for count, found in results.items()
    }
    for count, found in columns.items():
        yield [str(count), *(f"{statistics.median(rounds):.0f}" for rounds in found)]
    pairs = zip(columns[2], columns[1], strict=True)
    yield ["two / one", *(f"{_ratio(two, one):.2f}" for two, one in pairs)]


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def print_replicas(results: Results) -> None:
    print(f"\none dispatcher and two, n={len(PLUGINS)}   (@: {IN_FLIGHT} in flight, else one)")
    for row in (["replicas", *COLUMNS], *rows(results)):
        print("  " + "".join(cell.rjust(10) for cell in row), flush=True)


def run_replicas_mode(options: Options) -> Outcome:
    results = run_replicas(options.rounds, options.events)
    print_replicas(results)
    return Outcome(results)
