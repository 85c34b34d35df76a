"""Two dispatchers, two registries and three plugins on one broker, each a process."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus import presence
from hookbus.broker import EmbeddedBroker
from hookbus.errors import HookbusError
from hookbus.operations import request
from hookbus.transport import NatsTransport, Transport
from tests.chaos.answers import PLUGINS, SETTINGS
from tests.integration.commands import HOOKBUS, PATIENCE, Process

ROOT: Final = Path(__file__).parents[2]
ROLES: Final = ("dispatcher-1", "dispatcher-2", "registry-1", "registry-2")
WINDOW: Final = 0.1  # seconds to collect who is there
Stats = dict[int, dict[str, Any]]  # by process id


class Cluster:
    """Started with its settings applied and every plugin bound; ended with its *stack*."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self.broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        self.roles: dict[str, Process] = {}
        for name in ROLES:
            self.start(name)
        for plugin in PLUGINS:
            self._run([sys.executable, "-m", "tests.chaos.plugins", plugin])
        asyncio.run(self._prepare())

    @property
    def url(self) -> str:
        return self.broker.url

    def start(self, name: str) -> Process:
        """Start a role, also in the place of one that has ended."""
        kind = name.partition("-")[0]
        command = [*HOOKBUS, "serve", kind, "--http", "127.0.0.1:0"]
        self.roles[name] = self._run(command)
        return self.roles[name]

    def end(self, name: str, number: int) -> int:
        """Send a signal to a role and return the exit code."""
        return self.roles[name].stop(number)

    def others(self, name: str) -> set[int]:
        """The process ids of the other roles of the same kind."""
        kind = name.partition("-")[0]
        return {p.pid for n, p in self.roles.items() if n != name and n.startswith(kind)}

    def _run(self, command: list[str]) -> Process:
        environ = {"HOOKBUS_NATS_URL": self.url, "PYTHONPATH": str(ROOT)}
        process = Process(command, self._folder, **environ)
        self._stack.callback(process.close)
        return process

    async def _prepare(self) -> None:
        transport = await NatsTransport.connect(self.url, principal="ops")
        try:
            await until(lambda: self.there(transport, "registry", 2))
            made = await retried(lambda: request(transport, "ops", "apply", settings=SETTINGS))
            await until(lambda: self.there(transport, "dispatcher", 2, made["generation"]))
            await until(lambda: _all_answer(transport, PLUGINS))
        finally:
            await transport.close()

    async def there(
        self, transport: Transport, kind: str, count: int, generation: int = 0
    ) -> Stats | None:
        """What each replica of a kind says, once *count* of them are there."""
        stats = await stats_of(transport, kind)
        if kind == "dispatcher":
            stats = {
                p: s for p, s in stats.items() if s["data"]["generation"] >= max(generation, 1)
            }
        return stats if len(stats) == count else None


async def stats_of(transport: Transport, kind: str) -> Stats:
    """The last endpoint's figures of each process that serves as a *kind*, and its instance."""
    answers = await presence.ask(transport, "STATS", f"hookbus-{kind}", window=WINDOW)
    return {int(a["metadata"]["pid"]): {**a["endpoints"][-1], "instance": a["id"]} for a in answers}


async def _all_answer(transport: Transport, plugins: tuple[str, ...]) -> bool:
    pings = (presence.ask(transport, "PING", plugin, window=WINDOW) for plugin in plugins)
    return all(await asyncio.gather(*pings))


async def until(found: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
    """Await *found* again and again until it returns something true, and return that."""
    deadline = time.monotonic() + patience
    while not (value := await found()):
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.01)
    return value


async def retried(ask: Callable[[], Any]) -> Any:
    """Await *ask* again until it raises no error of the bus: a registry may just be coming."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await ask()
        except HookbusError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
