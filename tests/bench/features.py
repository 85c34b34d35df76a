"""What each feature costs the dispatcher: one bus, its settings changed live, measured in turn.

Every plugin has a validate and a mutate hook, of which the settings turn one off. A feature's cost
is a round's figure less the same round's figure of what it stands beside, so one dispatcher, one
broker and the same plugins do both. The breaker has no switch: its figure is set against a
dispatcher on a bus of its own, of which the breaker was taken out (tests/bench/ablated.py).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus.broker import EmbeddedBroker
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.bench.options import Options, Outcome
from tests.bench.processes import Started, until_bound

IN_FLIGHT: Final = 64
COUNTS: Final = (3, 10)
CONDITION: Final = "data.user != 'nobody' && event.type == 'message_received'"
Tree = dict[str, Any]
Costs = dict[str, list[float]]  # by feature: the dispatcher's CPU, in µs per event, by round

#: By name: what it stands beside, and what is changed in the settings for it.
FEATURES: Final[Mapping[str, str]] = {
    "conditions, half": "validate",
    "conditions, all": "validate",
    "cache, all miss": "validate",
    "once per event": "validate",
    "breaker": "no breaker",
    "patches, all": "mutate",
}


def settings(name: str, plugins: list[str]) -> Tree:
    """The settings under which a feature, or what it stands beside, is measured."""
    is_mutating = name in ("mutate", "patches, all")
    look: Tree = {"mode": "off"} if is_mutating else {}
    hooks = {
        p: {"look": dict(look), "change": {} if is_mutating else {"mode": "off"}} for p in plugins
    }
    chosen = plugins[: len(plugins) // 2] if name == "conditions, half" else plugins
    for plugin in chosen:
        if name.startswith("conditions"):
            hooks[plugin]["look"]["when"] = [CONDITION]
        elif name.startswith("cache"):
            hooks[plugin]["look"]["cache_ttl_ms"] = 60_000
    return {
        "mode": "development",
        "idempotency": "on" if name == "once per event" else "off",
        "types": {"message_received": {"record_payload": "none"}},
        "plugins": {plugin: {"hooks": said} for plugin, said in hooks.items()},
    }


def start(stack: ExitStack, plugins: list[str], *, is_ablated: bool) -> Started:
    """Start a bus, its plugins and its load."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    program = "tests.bench.ablated" if is_ablated else "hookbus"
    started.start_roles(folder, program, are_a_files=False)
    for plugin in plugins:
        started.start(plugin, ["-m", "tests.bench.plugins", "sdk", broker.url, "both", plugin])
    for plugin in plugins:
        started.processes[plugin].wait_ready()
    asyncio.run(until_bound(broker.url, 2 * len(plugins)))
    load = started.start("load", ["-m", "tests.bench.load", "sdk", broker.url, "both", *plugins])
    load.wait_ready()
    return started


async def apply(url: str, tree: Tree) -> None:
    """Change the settings and wait until the dispatcher serves them."""
    transport = await NatsTransport.connect(url)
    try:
        made = await request(transport, "bench", "apply", settings=tree)
        await request(transport, "bench", "wait_generation", generation=made["generation"])
    finally:
        await transport.close()


def measure(started: Started, name: str, plugins: list[str], events: int) -> float:
    """The dispatcher's CPU under one feature, in µs per event."""
    asyncio.run(apply(started.url, settings(name, plugins)))
    command = {"in_flight": IN_FLIGHT, "patches": name == "patches, all"}
    started.processes["load"].ask({**command, "events": events // 10})
    before = started.cpu()["dispatcher"]
    started.processes["load"].ask({**command, "events": events})
    return (started.cpu()["dispatcher"] - before) * 1e6 / events


def run_features(count: int, rounds: int, events: int) -> Costs:
    """Measure everything in every round, each time in another order."""
    plugins = [f"p{index}" for index in range(1, count + 1)]
    names = [*dict.fromkeys(FEATURES.values()), *FEATURES]
    costs: Costs = {name: [] for name in names}
    with ExitStack() as stack:
        bus = start(stack, plugins, is_ablated=False)
        ablated = start(stack, plugins, is_ablated=True)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                where = ablated if name == "no breaker" else bus
                costs[name].append(measure(where, name, plugins, events))
    return costs


def rows(costs: Costs) -> Iterator[list[str]]:
    """One line of the table per feature: medians of the rounds' differences and shares."""
    for name, base in FEATURES.items():
        pairs = list(zip(costs[name], costs[base], strict=True))
        cost = statistics.median(with_ - without for with_, without in pairs)
        share = statistics.median(with_ / without - 1 for with_, without in pairs)
        yield [
            name,
            base,
            f"{statistics.median(costs[base]):.0f}",
            f"{cost:+.1f}",
            f"{share:+.1%}",
        ]


def print_features(count: int, costs: Costs) -> None:
    print(f"\nfeatures, n={count}   (the dispatcher's CPU in µs per event, {IN_FLIGHT} in flight)")
    header = ["feature", "beside", "µs", "cost µs", "share"]
    for name, base, *figures in (header, *rows(costs)):
        print(f"  {name:18}{base:12}" + "".join(cell.rjust(9) for cell in figures), flush=True)


def run_features_mode(options: Options) -> Outcome:
    figures = {}
    for count in COUNTS:
        figures[f"n={count}"] = run_features(count, options.rounds, options.events)
        print_features(count, figures[f"n={count}"])
    return Outcome(figures)
