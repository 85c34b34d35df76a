"""All contestants in one run: alive at once, measured in turn, round by round.

- raw relay: nats-py in the dispatcher's place (tests/bench/relay.py), in plugins and emitter
- fair relay: the same relay with the SDK's plugins and emitter
- hookbus remote: ``hookbus serve dispatcher`` with the SDK's plugins and emitter
- hookbus local: the same plugins, the dispatcher in the emitter's process
- FastStream RPC: what one would write with FastStream and pydantic (tests/bench/naive.py)
- cpex: IBM's plugin framework, its plugins on its Unix socket (tests/bench/cpex_plugin.py)

Figures are medians over the rounds; ratios are medians of each round's ratio. A wrong decision
voids the run. CPU is what the kernel charged each process while it was measured.
"""

from __future__ import annotations

from contextlib import ExitStack

from tests.bench.bars import judge, print_bars
from tests.bench.contestants import CONTESTANTS, missing, start
from tests.bench.figures import Figures, Results
from tests.bench.options import Options, Outcome
from tests.bench.picture import draw
from tests.bench.processes import Started
from tests.bench.scenarios import IN_FLIGHT, SCENARIOS, Scenario
from tests.bench.table import print_table


def measure(started: Started, in_flight: int, events: int) -> Figures:
    """Run one load and charge the CPU to the processes, in microseconds per event."""
    before = started.cpu()
    figures: Figures = started.processes["load"].ask({"in_flight": in_flight, "events": events})
    spent = {n: (s - before[n]) * 1e6 / events for n, s in started.cpu().items()}
    figures["cpu_all_us"] = sum(spent.values())
    figures["cpu_emitter_us"] = spent["load"]
    for name in ("dispatcher", "broker"):  # which not everybody has
        if name in spent:
            figures[f"cpu_{name}_us"] = spent[name]
    others = ("load", "dispatcher", "broker", "registry")
    figures["cpu_plugins_us"] = sum(us for name, us in spent.items() if name not in others)
    return figures


def run_scenario(scenario: Scenario, names: list[str], rounds: int, events: int) -> Results:
    """Measure everybody in every round: one at a time, then many in flight."""
    results: Results = {name: {"one": [], "many": []} for name in names}
    with ExitStack() as stack:
        running = {name: start(stack, name, scenario) for name in names}
        for started in running.values():  # warm
            measure(started, 1, events // 20)
            measure(started, IN_FLIGHT, events // 2)
        for number in range(rounds):
            turn = number % len(names)
            order = names[turn:] + names[:turn]
            for name in order:
                results[name]["one"].append(measure(running[name], 1, events // 5))
            for name in order:
                results[name]["many"].append(measure(running[name], IN_FLIGHT, events))
    return results


def run_contest(options: Options) -> Outcome:
    """Measure and print every scenario, then the bars."""
    chosen = [name for name in CONTESTANTS if name in (options.contestants or CONTESTANTS)]
    for line in missing(chosen):
        print(line)
    names = [name for name in chosen if CONTESTANTS[name].is_installed]
    everything: dict[str, Results] = {}
    for name in options.scenarios or SCENARIOS:
        scenario = SCENARIOS[name]
        everything[name] = run_scenario(scenario, names, options.rounds, options.events)
        print_table(name, scenario, everything[name])
    judged = judge(everything)
    print_bars(judged, is_quick=options.is_quick)
    if options.picture is not None:
        options.picture.write_text(draw(everything), encoding="utf-8")
    is_well = options.is_quick or all(bar.is_met is not False for bar in judged)
    bars = [bar._asdict() for bar in judged]
    return Outcome({"scenarios": everything, "bars": bars}, is_well)
