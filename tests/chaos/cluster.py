"""Two dispatchers, two registries and three plugins on one broker, each a process."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hookbus import presence
from hookbus.errors import HookbusError
from hookbus.operations import request
from hookbus.transport import NatsTransport, Transport
from tests.chaos.answers import SETTINGS
from tests.integration.commands import HOOKBUS, PATIENCE, Process

ROOT: Final = Path(__file__).parents[2]
ROLES: Final = ("dispatcher-1", "dispatcher-2", "registry-1", "registry-2")
WINDOW: Final = 0.1  # seconds to collect who is there
Stats = dict[int, dict[str, Any]]  # by process id


class Cluster:
    """Started with its settings applied and every plugin bound; ended with its *stack*."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        url: str,
        *,
        settings: Mapping[str, Any] = SETTINGS,
        links: Mapping[str, str] | None = None,
    ) -> None:
        """*links* are the URLs of those, by name, that reach the broker another way than *url*."""
        self._stack = stack
        self._folder = folder
        self._links = links or {}
        self.url = url
        self.observed = folder / "observed"
        self.roles: dict[str, Process] = {}
        self.plugins: dict[str, Process] = {}
        for name in (*ROLES, *settings["plugins"]):
            self.start(name)
        asyncio.run(self._prepare(settings))

    def start(self, name: str) -> Process:
        """Start a role or a plugin, also in the place of one that has ended."""
        if name in ROLES:
            kind = name.partition("-")[0]
            command = [*HOOKBUS, "serve", kind, "--http", "127.0.0.1:0"]
            self.roles[name] = process = self._run(name, command)
        else:
            command = [sys.executable, "-m", "tests.chaos.plugins", name, str(self.observed)]
            self.plugins[name] = process = self._run(name, command)
        return process

    def process(self, name: str) -> Process:
        """The process of a role or a plugin."""
        return self.roles[name] if name in ROLES else self.plugins[name]

    def end(self, name: str, number: int) -> int:
        """Send a signal to a role and return the exit code."""
        return self.roles[name].stop(number)

    def others(self, name: str) -> set[int]:
        """The process ids of the other roles of the same kind."""
        kind = name.partition("-")[0]
        return {p.pid for n, p in self.roles.items() if n != name and n.startswith(kind)}

    def _run(self, name: str, command: list[str]) -> Process:
        url = self._links.get(name, self.url)
        environ = {"HOOKBUS_NATS_URL": url, "PYTHONPATH": str(ROOT)}
        process = Process(command, self._folder, **environ)
        self._stack.callback(process.close)
        return process

    async def _prepare(self, settings: Mapping[str, Any]) -> None:
        transport = await NatsTransport.connect(self.url, principal="ops")
        try:
            await until(lambda: self.there(transport, "registry", 2))
            made = await retried(lambda: request(transport, "ops", "apply", settings=settings))
            await until(lambda: self.there(transport, "dispatcher", 2, made["generation"]))
            await until(lambda: _all_answer(transport, tuple(self.plugins)))
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
