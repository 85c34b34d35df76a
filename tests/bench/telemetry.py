"""What telemetry costs: off, on with a healthy collector, a dead one, one that never answers.

A bus for each, all alive and measured in turn. It is switched by the environment of roles and
plugin, as an operator does; 1 % of the traces are sampled, as shipped. Bars: at most 5 % more CPU
per event than with telemetry off, of the dispatcher and of everybody; when asked to end, each
process is gone within 3 s and says in one line at most what was lost, the dispatcher in one.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from hookbus.broker import EmbeddedBroker
from tests.bench.collectors import Collector, dead, healthy, silent
from tests.bench.limits import AtMost, print_limits, print_row
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, until_bound

IN_FLIGHT: Final = 64
MOST_CPU: Final = 1.05  # times that with telemetry off
MOST_SECONDS: Final = 3.0  # from SIGTERM to the end
LEAST_ROUNDS: Final = 10  # 5 % is less than two rounds differ by
ON: Final[Mapping[str, Callable[[], AbstractContextManager[Collector]]]] = {
    "healthy": healthy,
    "dead": dead,
    "silent": silent,
}
OFF: Final = "off"
BUSES: Final = (OFF, *ON)
QUICK: Final = ("dead",)
ENDED: Final = ("p1", "dispatcher", "registry")
#: What a line of the log says that is about telemetry, ours or the SDK's own.
TOLD: Final = re.compile(
    r"telemetry_lost|metrics_not_exported|no_telemetry|opentelemetry|otlp", re.IGNORECASE
)

PLUGIN: Final = """
from hookbus import HookEvent, Plugin
plugin = Plugin("p1", version="1.0.0")
@plugin.hook("message_received", phase="validate", name="look", timeout_ms=5000)
async def look(event: HookEvent) -> None: ...
plugin.run()
"""

Figures = dict[str, float]


class Ended(NamedTuple):
    seconds: float
    lines: int  # of its log that are about telemetry


class Bus(NamedTuple):
    started: Started
    folder: Path
    collector: Collector | None


class Results(NamedTuple):
    """Attributes:
    rounds: by bus.
    ended: by bus and process.
    exports: what the healthy collector got, by path.
    """

    rounds: dict[str, list[Figures]]
    ended: dict[str, dict[str, Ended]]
    exports: dict[str, int]


def environ_of(collector: Collector | None) -> dict[str, str]:
    if collector is None:
        return {"OTEL_SDK_DISABLED": "true"}
    return {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


def start(stack: ExitStack, name: str) -> Bus:
    """Start one bus, its plugin and its load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    collector = stack.enter_context(ON[name]()) if name in ON else None
    environ = environ_of(collector)
    started = Started(stack, broker, logs=folder)
    started.start_roles(folder, "hookbus", environ=environ)
    started.start("p1", ["-c", PLUGIN], {**environ, "HOOKBUS_NATS_URL": broker.url})
    asyncio.run(until_bound(broker.url, 1))
    load = ["-m", "tests.bench.load", "sdk", broker.url, "validate", "p1"]
    started.start("load", load, environ).wait_ready()
    return Bus(started, folder, collector)


def measure(started: Started, events: int) -> Figures:
    """Run one load; CPU in microseconds per event."""
    before = started.cpu()
    command = {"in_flight": IN_FLIGHT, "events": events}
    figures: Figures = started.processes["load"].ask(command)
    spent = {name: seconds - before[name] for name, seconds in started.cpu().items()}
    figures["cpu_dispatcher_us"] = spent["dispatcher"] * 1e6 / events
    figures["cpu_all_us"] = sum(spent.values()) * 1e6 / events
    return figures


def end(bus: Bus) -> dict[str, Ended]:
    """Ask each process to end, the plugin first."""
    ended = {}
    for name in ENDED:
        seconds = bus.started.processes[name].stop()
        lines = (bus.folder / f"{name}.log").read_text().splitlines()
        ended[name] = Ended(seconds, sum(TOLD.search(line) is not None for line in lines))
    return ended


def run_telemetry(rounds: int, events: int, names: Sequence[str] = BUSES) -> Results:
    """Measure every bus in every round, each time in another order; then end them."""
    results: dict[str, list[Figures]] = {name: [] for name in names}
    with ExitStack() as stack:
        buses = {name: start(stack, name) for name in names}
        for bus in buses.values():
            measure(bus.started, events)  # warm
        for number in range(rounds):
            turn = number % len(names)
            for name in (*names[turn:], *names[:turn]):
                results[name].append(measure(buses[name].started, events))
        ended = {name: end(bus) for name, bus in buses.items()}
        healthy = buses.get("healthy")
        got = healthy.collector.got if healthy and healthy.collector else []
        return Results(results, ended, {path: got.count(path) for path in sorted(set(got))})


def ratio(rounds: Mapping[str, Sequence[Figures]], name: str, key: str) -> float:
    """The median of the rounds' ratios to the first bus, of which telemetry is off."""
    pairs = zip(rounds[name], rounds[next(iter(rounds))], strict=True)
    return statistics.median(one[key] / off[key] for one, off in pairs)


def limits_of(results: Results) -> Iterator[AtMost]:
    on = [name for name in results.rounds if name != OFF]
    for name in on:
        for key, whose in (("cpu_dispatcher_us", "dispatcher"), ("cpu_all_us", "everybody")):
            found = ratio(results.rounds, name, key)
            yield AtMost(f"{name}: CPU of {whose}, × off", found, MOST_CPU)
    for name, processes in results.ended.items():
        slowest = max(processes, key=lambda process: processes[process].seconds)
        seconds = processes[slowest].seconds
        yield AtMost(f"{name}: seconds to the end, {slowest}", seconds, MOST_SECONDS)
        loudest = max(processes, key=lambda process: processes[process].lines)
        most = 1 if name in ("dead", "silent") else 0
        yield AtMost(f"{name}: lines about it, {loudest}", processes[loudest].lines, most)
    for name in on:
        if name == "healthy":
            yield AtMost(f"{name}: nothing arrived", float("/v1/traces" not in results.exports), 0)
        else:
            is_untold = results.ended[name]["dispatcher"].lines == 0
            yield AtMost(f"{name}: the dispatcher says nothing", float(is_untold), 0)


def print_telemetry(results: Results, *, is_quick: bool) -> bool:
    """Print all figures and the bars; tell whether they hold."""
    print(f"\ntelemetry, {IN_FLIGHT} in flight   (CPU in µs per event)")
    print_row(["telemetry", "disp_cpu", "×off", "all_cpu", "×off", "p50_us", "p99_us", "ev/s"])
    for name, figures in results.rounds.items():
        cells = []
        for key in ("cpu_dispatcher_us", "cpu_all_us"):
            median = statistics.median(each[key] for each in figures)
            cells += [f"{median:.1f}", f"{ratio(results.rounds, name, key):.3f}"]
        for key in ("p50_us", "p99_us", "events_per_second"):
            cells.append(f"{statistics.median(each[key] for each in figures):.0f}")
        print_row([name, *cells])
    print("\n  from SIGTERM to the end, in seconds, and lines of the log about telemetry")
    print_row(["telemetry", *ENDED])
    for name, ended in results.ended.items():
        print_row([name, *(f"{ended[p].seconds:.2f} {ended[p].lines}" for p in ENDED)])
    print(f"  the healthy collector got {results.exports or 'nothing'}")
    return print_limits(limits_of(results), is_quick=is_quick)


def run_telemetry_mode(options: Options) -> Outcome:
    if options.is_quick:
        results = run_telemetry(options.rounds, options.events, QUICK)
    else:
        results = run_telemetry(max(options.rounds, LEAST_ROUNDS), options.events)
    figures: dict[str, Any] = results._asdict()
    return Outcome(figures, print_telemetry(results, is_quick=options.is_quick))
