"""hookbus beside a relay that checks nothing, in one run, interleaved.

Three variants, each on a broker of its own, all alive at once and measured in turn:

- raw: nats-py in the dispatcher's place (tests/bench/relay.py), plugins and emitter on nats-py
- fair: the same relay with the SDK's plugins and emitter
- hookbus: ``hookbus serve dispatcher`` with the SDK's plugins and emitter

Figures are medians over the rounds; ratios are medians of each round's ratio to raw. A wrong
decision voids the run. CPU is what the kernel charged each process while it was measured.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hookbus.broker import EmbeddedBroker
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, until_bound
from tests.bench.scenarios import IN_FLIGHT, SCENARIOS

VARIANTS: Final = ("raw", "fair", "hookbus")
Figures = dict[str, float]


def variant(stack: ExitStack, name: str, phase: str, plugins: list[str]) -> Started:
    """Start one variant's broker, dispatcher, plugins and load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    kind = "raw" if name == "raw" else "sdk"
    if name == "hookbus":
        started.start_roles(folder, "hookbus")
    else:
        relay = ["-m", "tests.bench.relay", broker.url, phase, *plugins]
        started.start("dispatcher", relay).wait_ready()
    for plugin in plugins:
        started.start(plugin, ["-m", "tests.bench.plugins", kind, broker.url, phase, plugin])
    for plugin in plugins:
        started.processes[plugin].wait_ready()
    if name == "hookbus":
        asyncio.run(until_bound(broker.url, len(plugins)))
    load = started.start("load", ["-m", "tests.bench.load", kind, broker.url, phase, *plugins])
    load.wait_ready()
    return started


def measure(started: Started, in_flight: int, events: int) -> Figures:
    """Run one load and charge the CPU to the processes, in microseconds per event."""
    before = started.cpu()
    figures: Figures = started.processes["load"].ask({"in_flight": in_flight, "events": events})
    for name, seconds in started.cpu().items():
        figures[f"cpu_{name}_us"] = (seconds - before[name]) * 1e6 / events
    figures["cpu_all_us"] = sum(v for k, v in figures.items() if k.startswith("cpu_"))
    return figures


def run_scenario(name: str, rounds: int, events: int) -> dict[str, dict[str, list[Figures]]]:
    """Measure every variant in every round: one at a time, then many in flight."""
    phase, count = SCENARIOS[name]
    plugins = [f"p{index}" for index in range(1, count + 1)]
    results: dict[str, dict[str, list[Figures]]] = {
        v: {"sequential": [], "in_flight": []} for v in VARIANTS
    }
    with ExitStack() as stack:
        running = {v: variant(stack, v, phase, plugins) for v in VARIANTS}
        for started in running.values():
            measure(started, IN_FLIGHT, events // 2)  # warm
        for number in range(rounds):
            order = VARIANTS[number % 3 :] + VARIANTS[: number % 3]
            for v in order:
                results[v]["sequential"].append(measure(running[v], 1, events // 5))
            for v in order:
                results[v]["in_flight"].append(measure(running[v], IN_FLIGHT, events))
    return results


def median(results: Sequence[Figures], key: str) -> float:
    return statistics.median(figures[key] for figures in results)


def ratio(results: Sequence[Figures], base: Sequence[Figures], key: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(r[key] / b[key] for r, b in zip(results, base, strict=True))


def rows(results: dict[str, dict[str, list[Figures]]]) -> Iterator[list[str]]:
    """One line of the table per variant."""
    for v in VARIANTS:
        one, many = results[v]["sequential"], results[v]["in_flight"]
        base_one, base_many = results["raw"]["sequential"], results["raw"]["in_flight"]
        yield [
            v,
            f"{median(one, 'p50_us'):.0f}",
            f"{ratio(one, base_one, 'p50_us'):.2f}",
            f"{median(one, 'p99_us'):.0f}",
            f"{median(many, 'events_per_second'):.0f}",
            f"{ratio(many, base_many, 'events_per_second'):.2f}",
            f"{median(many, 'cpu_dispatcher_us'):.0f}",
            f"{ratio(many, base_many, 'cpu_dispatcher_us'):.2f}",
            f"{median(many, 'cpu_load_us'):.0f}",
            f"{median(many, 'cpu_p1_us'):.0f}",
            f"{median(many, 'cpu_broker_us'):.0f}",
            f"{median(many, 'cpu_all_us'):.0f}",
        ]


HEADER: Final = (
    "variant p50_us ×raw p99_us ev/s@64 ×raw disp_cpu ×raw load_cpu p1_cpu nats_cpu all_cpu"
)


def print_table(name: str, results: dict[str, dict[str, list[Figures]]]) -> None:
    print(f"\n{name}   (CPU in µs per event at {IN_FLIGHT} in flight)")
    for row in (HEADER.split(), *rows(results)):
        print("  " + "".join(cell.rjust(9) for cell in row), flush=True)


def run_contest(options: Options) -> Outcome:
    """Measure and print every scenario."""
    everything = {}
    for name in options.scenarios or SCENARIOS:
        everything[name] = run_scenario(name, options.rounds, options.events)
        print_table(name, everything[name])
    return Outcome(everything)
