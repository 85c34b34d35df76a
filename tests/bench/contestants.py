"""Who is compared, and how each is started: with processes of its own, on a broker of its own."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from hookbus.broker import EmbeddedBroker
from tests.bench.processes import Started, until_bound
from tests.bench.scenarios import Scenario

CPEX: Final = "cpex[grpc]==0.1.4"  # its Unix socket needs protobuf, which only that extra brings

#: Starts everything but the load, and returns what the load is told to connect to.
Start = Callable[[Started, Path, Scenario], str]


class Contestant(NamedTuple):
    """Whom hookbus is compared with, and hookbus itself.

    Attributes:
        title: in the table and in the picture.
        emitter: kind of the load, a module of tests/bench/emitters.
        start: see :data:`Start`.
        needs: modules that must be installed.
        install: what to install where they are not.
        has_broker: plugins are reached over NATS.
    """

    title: str
    emitter: str
    start: Start
    needs: tuple[str, ...] = ()
    install: str = ""
    has_broker: bool = True

    @property
    def is_installed(self) -> bool:
        return all(map(_is_there, self.needs))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent is
        return False


def _plugins(started: Started, module: str, arguments: list[str], scenario: Scenario) -> None:
    """Start the plugins side by side, wait for all."""
    for name in scenario.plugins:
        started.start(name, ["-m", module, *arguments, scenario.work, name])
    for name in scenario.plugins:
        started.processes[name].wait_ready()


def _relay(started: Started, folder: Path, scenario: Scenario, *, kind: str) -> str:
    relay = ["-m", "tests.bench.relay", started.url, scenario.work, *scenario.plugins]
    started.start("dispatcher", relay)
    _plugins(started, "tests.bench.plugins", [kind, started.url], scenario)
    started.processes["dispatcher"].wait_ready()
    return started.url


def start_raw(started: Started, folder: Path, scenario: Scenario) -> str:
    return _relay(started, folder, scenario, kind="raw")


def start_fair(started: Started, folder: Path, scenario: Scenario) -> str:
    return _relay(started, folder, scenario, kind="sdk")


def _hookbus(started: Started, folder: Path, scenario: Scenario, *, is_local: bool) -> str:
    started.start_roles(folder, "hookbus", is_local=is_local)
    asyncio.run(until_bound(started.url, 0, is_served=False))  # the registry hears announcements
    _plugins(started, "tests.bench.plugins", ["sdk", started.url], scenario)
    asyncio.run(until_bound(started.url, scenario.count, is_served=not is_local))
    return started.url


def start_remote(started: Started, folder: Path, scenario: Scenario) -> str:
    return _hookbus(started, folder, scenario, is_local=False)


def start_local(started: Started, folder: Path, scenario: Scenario) -> str:
    return _hookbus(started, folder, scenario, is_local=True)


def start_naive(started: Started, folder: Path, scenario: Scenario) -> str:
    naive = ["-m", "tests.bench.naive", "dispatcher", started.url, scenario.work]
    started.start("dispatcher", [*naive, *scenario.plugins])
    _plugins(started, "tests.bench.naive", ["plugin", started.url], scenario)
    started.processes["dispatcher"].wait_ready()
    return started.url


def start_cpex(started: Started, folder: Path, scenario: Scenario) -> str:
    """Write the configurations, which are YAML, so JSON will do; return the manager's."""
    is_in_a_row = scenario.work in ("mutate", "patch")
    external = []
    for priority, name in enumerate(scenario.plugins):
        plugin = {
            "name": name,
            "version": "1.0.0",
            "hooks": ["message_received"],
            "mode": "sequential" if is_in_a_row else "concurrent",
            "priority": priority,
        }
        here = {"kind": "tests.bench.cpex_plugin.BenchPlugin", "config": {"work": scenario.work}}
        socket = folder / f"{name}.sock"
        config = folder / f"{name}.yaml"
        config.write_text(json.dumps({"plugins": [{**plugin, **here}], "plugin_dirs": []}))
        started.start(name, ["-m", "tests.bench.cpex_plugin", str(config), str(socket)])
        external.append({**plugin, "kind": "external", "unix_socket": {"path": str(socket)}})
    for name in scenario.plugins:
        started.processes[name].wait_ready()
    manager = folder / "manager.yaml"
    manager.write_text(json.dumps({"plugins": external, "plugin_dirs": []}))
    return str(manager)


#: By name, in the order of the table.
CONTESTANTS: Final = {
    "raw": Contestant("raw relay", "raw", start_raw),
    "fair": Contestant("fair relay", "sdk", start_fair),
    "remote": Contestant("hookbus remote", "sdk", start_remote),
    "local": Contestant(
        "hookbus local", "local", start_local, ("hookbus.local",), "hookbus[server]"
    ),
    "naive": Contestant("FastStream RPC", "naive", start_naive, ("faststream",), "hookbus[server]"),
    "cpex": Contestant(
        "cpex (unix)", "cpex", start_cpex, ("cpex", "google.protobuf"), CPEX, has_broker=False
    ),
}


def missing(names: list[str]) -> Iterator[str]:
    """Say which of *names* are left out, and what to do."""
    for name in names:
        contestant = CONTESTANTS[name]
        if not contestant.is_installed:
            yield f"{contestant.title}: not installed, left out; pip install '{contestant.install}'"


def start(stack: ExitStack, name: str, scenario: Scenario) -> Started:
    """Start a contestant with its plugins and its load."""
    contestant = CONTESTANTS[name]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-bench-")))
    broker = None
    if contestant.has_broker:
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
    started = Started(stack, broker)
    reached_at = contestant.start(started, folder, scenario)
    kind = contestant.emitter
    load = ["-m", "tests.bench.load", kind, reached_at, scenario.work, *scenario.plugins]
    started.start("load", load).wait_ready()
    return started
