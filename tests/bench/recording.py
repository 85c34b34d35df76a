"""What recording costs a dispatcher, and what it costs when the streams are in trouble.

Five buses alive at once, each with one validate plugin, measured in turn. Each writes two messages
an event, the decision and the observed event:

- well: all is as it should be, and nobody observes (``observe = "always"``)
- none: the same, of whose dispatcher recording was taken out (tests/bench/unrecorded.py)
- dead observer: an observer was bound and is gone
- full stream: the streams hold 64 KiB, so that each message pushes an old one out
- slow stream: acknowledgements take 100 ms (tests/bench/slow.py)

A message costs half of the difference between well and none. The others are set against well of the
same round. Bars: 12 µs a message; in trouble 5 % more CPU an event, and 1.25 times the p99.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus.broker import EmbeddedBroker
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, until_bound
from tests.bench.slow import SlowBroker

IN_FLIGHT: Final = 64
MESSAGES: Final = 2  # an event
MOST_US: Final = 12.0  # CPU of the dispatcher for one message
MOST_CPU: Final = 1.05  # times that of the bus that is well …
MOST_P99: Final = 1.25  # … and so for the p99
TROUBLES: Final = ("dead observer", "full stream", "slow stream")
BUSES: Final = ("well", "none", *TROUBLES)
SETTINGS: Final = 'observe = "always"\nidempotency = "off"\n'
FULL: Final = "[streams.DECISIONS]\nmax_bytes = 65536\n[streams.OBSERVE]\nmax_bytes = 65536\n"

Figures = dict[str, float]
Results = dict[str, list[Figures]]  # by bus, a round each

OBSERVER: Final = """
import sys
from hookbus import HookEvent, Plugin
plugin = Plugin("observer", version="1.0.0")
@plugin.hook("message_received", phase="observe", name="see")
async def see(event: HookEvent) -> None: ...
plugin.run()
"""


def start(stack: ExitStack, name: str) -> Started:
    """Start one bus, its plugin and its load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker: Any
    if name == "slow stream":
        broker = SlowBroker(stack, folder / "nats")
    else:
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    program = "tests.bench.unrecorded" if name == "none" else "hookbus"
    started.start_roles(folder, program, SETTINGS + FULL * (name == "full stream"))
    command = ["-m", "tests.bench.plugins", "sdk", broker.url, "validate", "p1"]
    started.start("p1", command).wait_ready()
    asyncio.run(until_bound(broker.url, 1))
    if name == "dead observer":
        observer = started.start("observer", ["-c", OBSERVER], {"HOOKBUS_NATS_URL": broker.url})
        asyncio.run(until_bound(broker.url, 2))
        observer.end()  # from one moment to the next: it stays bound
        del started.processes["observer"]
    load = ["-m", "tests.bench.load", "sdk", broker.url, "validate", "p1"]
    started.start("load", load).wait_ready()
    return started


def measure(started: Started, events: int) -> Figures:
    """Run one load; the dispatcher's CPU in microseconds per event."""
    before = started.cpu()["dispatcher"]
    command = {"in_flight": IN_FLIGHT, "events": events}
    figures: Figures = started.processes["load"].ask(command)
    figures["cpu_us"] = (started.cpu()["dispatcher"] - before) * 1e6 / events
    figures["rss_mib"] = _rss(started.processes["dispatcher"].pid)
    return figures


def _rss(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def run_recording(rounds: int, events: int) -> Results:
    """Measure every bus in every round, each time in another order."""
    results: Results = {name: [] for name in BUSES}
    with ExitStack() as stack:
        buses = {name: start(stack, name) for name in BUSES}
        for started in buses.values():
            measure(started, events // 2)  # warm
        for number in range(rounds):
            turn = number % len(BUSES)
            for name in BUSES[turn:] + BUSES[:turn]:
                results[name].append(measure(buses[name], events))
    return results


def ratio(results: Results, name: str, key: str) -> float:
    """The median of the rounds' ratios to the bus that is well."""
    pairs = zip(results[name], results["well"], strict=True)
    return statistics.median(one[key] / well[key] for one, well in pairs)


def cost(results: Results) -> float:
    """The dispatcher's CPU for one message, in microseconds."""
    pairs = zip(results["well"], results["none"], strict=True)
    return statistics.median((one["cpu_us"] - none["cpu_us"]) / MESSAGES for one, none in pairs)


def print_recording(results: Results) -> bool:
    """Print all figures and the bars; tell whether they hold."""
    rounds = len(results["well"])
    print(f"\nrecording, {IN_FLIGHT} in flight, medians of {rounds} rounds")
    header = ("bus", "cpu_us", "×well", "p50_us", "p99_us", "×well", "ev/s", "rss_mib", "grown")
    _print_row(header)
    for name in BUSES:
        figures = results[name]
        cells = [f"{_median(figures, 'cpu_us'):.1f}", f"{ratio(results, name, 'cpu_us'):.3f}"]
        cells += [f"{_median(figures, key):.0f}" for key in ("p50_us", "p99_us")]
        cells += [f"{ratio(results, name, 'p99_us'):.2f}"]
        cells += [f"{_median(figures, 'events_per_second'):.0f}", f"{figures[-1]['rss_mib']:.0f}"]
        cells += [f"{figures[-1]['rss_mib'] - figures[0]['rss_mib']:+.1f}"]
        _print_row([name, *cells])
    bars = [(f"a message written, µs (at most {MOST_US:g})", cost(results), MOST_US)]
    for name in TROUBLES:
        for key, what, most in (("cpu_us", "CPU", MOST_CPU), ("p99_us", "p99", MOST_P99)):
            found = ratio(results, name, key)
            bars.append((f"{name}: {what}, × well (at most {most:g})", found, most))
    for said, found, most in bars:
        print(f"  {'ok' if found <= most else 'MISSED':8}{said}: {found:.3f}")
    return all(found <= most for _, found, most in bars)


def _median(figures: Sequence[Figures], key: str) -> float:
    return statistics.median(each[key] for each in figures)


def _print_row(cells: Sequence[str]) -> None:
    name, *figures = cells
    print(f"  {name:14}" + "".join(cell.rjust(8) for cell in figures), flush=True)


def run_recording_mode(options: Options) -> Outcome:
    results = run_recording(options.rounds, options.events)
    return Outcome(results, print_recording(results))
