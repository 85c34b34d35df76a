"""python -m tests.bench: hookbus beside a relay that checks nothing, in one run, interleaved.

Three variants, each on a broker of its own, all alive at once and measured in turn:

- raw: nats-py in the dispatcher's place (tests/bench/relay.py), plugins and emitter on nats-py
- fair: the same relay with the SDK's plugins and emitter
- hookbus: ``hookbus serve dispatcher`` with the SDK's plugins and emitter

Figures are medians over the rounds; ratios are medians of each round's ratio to raw. A wrong
decision voids the run. CPU is what the kernel charged each process while it was measured. Then
what each feature costs (tests/bench/features.py). With --replicas instead: one dispatcher beside
two (tests/bench/replicas.py). With --recording: what a recorded message costs, and streams in
trouble (tests/bench/recording.py); exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus.broker import EmbeddedBroker
from tests.bench.features import COUNTS, print_features, run_features
from tests.bench.processes import Started, until_bound
from tests.bench.recording import print_recording, run_recording
from tests.bench.replicas import print_replicas, run_replicas

VARIANTS: Final = ("raw", "fair", "hookbus")
SCENARIOS: Final = {
    "n=1": ("validate", 1),
    "n=3": ("validate", 3),
    "n=10": ("validate", 10),
    "3 mutate": ("mutate", 3),
}
IN_FLIGHT: Final = 64
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="at least 5 for a figure to quote")
    parser.add_argument("--events", type=int, default=4000, help="per measurement, 64 in flight")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="one scenario or more")
    parser.add_argument("--no-features", action="store_true", help="only the three variants")
    parser.add_argument("--features", action="store_true", help="only what each feature costs")
    parser.add_argument("--replicas", action="store_true", help="only one dispatcher beside two")
    parser.add_argument("--recording", action="store_true", help="only what recording costs")
    parser.add_argument("--json", type=Path, help="where to write every round's figures")
    options = parser.parse_args()
    started = time.time()
    everything: dict[str, Any] = {}
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"hookbus bench: {options.rounds} rounds, {machine}, load average {load}")
    is_well = True
    if options.recording:
        everything["recording"] = run_recording(options.rounds, options.events)
        is_well = print_recording(everything["recording"])
    elif options.replicas:
        everything["replicas"] = run_replicas(options.rounds, options.events)
        print_replicas(everything["replicas"])
    is_other = options.replicas or options.recording
    for name in () if options.features or is_other else options.only or SCENARIOS:
        everything[name] = run_scenario(name, options.rounds, options.events)
        print_table(name, everything[name])
    for count in () if options.no_features or options.only or is_other else COUNTS:
        costs = run_features(count, options.rounds, options.events)
        everything[f"features, n={count}"] = costs
        print_features(count, costs)
    print(f"\n{time.time() - started:.0f} s; every decision was checked")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))
    if not is_well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
