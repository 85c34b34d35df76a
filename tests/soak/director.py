"""Random disturbances, one after another, all from the seed: processes and configurations."""

from __future__ import annotations

import asyncio
import copy
import signal
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

from hookbus import presence
from hookbus.operations import request
from hookbus.transport import NatsTransport
from tests.chaos.cluster import WINDOW, retried, stats_of, until
from tests.soak.behaviour import PLUGINS, VERSION
from tests.soak.cluster import Cluster
from tests.soak.faults import Faults
from tests.soak.settings import make_settings
from tests.soak.wanted import Wanted

MODES: Final = ("enforce", "warn", "shadow", "off")
OPERATOR: Final = "ops"


class Director:
    """Does one thing after another; what can be felt by events is entered in *faults*."""

    def __init__(
        self,
        cluster: Cluster,
        transport: NatsTransport,
        seed: int,
        faults: Faults,
        check: Callable[[int, Wanted, str], None],
    ) -> None:
        self._cluster, self._transport, self._faults = cluster, transport, faults
        self._random = Random(f"{seed}/director")
        self._wanted, self._check = Wanted(), check
        self.generation = 0
        #: Whoever has it keeps everybody from being disturbed.
        self.quiet = asyncio.Lock()
        self.changes = 0
        self._acts: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (10, self.apply),
            (4, self._mode),
            (2, self._mode_for_a_while),
            (2, self._remove),
            (3, lambda: self._plugin(signal.SIGTERM)),
            (3, lambda: self._plugin(signal.SIGKILL)),
            (1, self._hang_plugin),
            (2, lambda: self._role("dispatcher", signal.SIGTERM)),
            (1, lambda: self._role("dispatcher", signal.SIGKILL)),
            (1, lambda: self._role("registry", signal.SIGTERM)),
            (1, lambda: self._role("registry", signal.SIGKILL)),
        )

    async def disturb(self, until: float, pause: float) -> None:
        """Go on until then, on the monotonic clock, with about so many seconds between."""
        deck: list[Callable[[], Awaitable[None]]] = []
        while True:
            if not deck:  # each as often as it should be, in any order
                deck = [act for count, act in self._acts for _ in range(count)]
                self._random.shuffle(deck)
            wait = self._random.uniform(0.5, 1.5) * pause
            if time.monotonic() + wait >= until:
                return
            await asyncio.sleep(wait)
            async with self.quiet:
                await deck.pop()()

    async def begin(self) -> None:
        """Wait for everybody, then apply the first settings."""
        for name in self._cluster.roles:
            if name.startswith("registry"):
                await self._present(name)
        await self.apply()
        for name in self._cluster.processes:
            await self._present(name)
        await until(self._all_bound)
        await self.served()

    async def _all_bound(self) -> bool:
        """Every plugin has announced itself: what is bound names its version."""
        listed = await request(self._transport, OPERATOR, "list")
        self.generation = listed["generation"]
        versions = {p["plugin"]: p["version"] for p in listed["plugins"]}
        return versions == dict.fromkeys(PLUGINS, VERSION)

    async def apply(self) -> None:
        """Apply other settings."""
        await self._change("apply", settings=make_settings(self._random))

    async def _mode(self) -> None:
        await self._change("mode", **self._hook(), mode=self._random.choice([*MODES, None]))

    async def _mode_for_a_while(self) -> None:
        mode = self._random.choice(MODES)
        await self._change("mode", **self._hook(), mode=mode, for_s=self._random.randint(1, 3))

    def _hook(self) -> dict[str, Any]:
        plugin = self._random.choice(list(PLUGINS))
        hooks = [h for h, phase in PLUGINS[plugin][1].items() if phase != "observe"]
        return {"plugin": plugin, "hook": self._random.choice(hooks)}

    async def _remove(self) -> None:
        """Remove a plugin and take it back; what is observed must not be lost, so not that one."""
        plugin = self._random.choice([p for p, (_, h) in PLUGINS.items() if "watch" not in h])
        wait = self._random.uniform(0.2, 2.0)
        await self._change("remove", plugin=plugin)
        await asyncio.sleep(wait)
        await self._change("approve", plugin=plugin)

    async def _change(self, operation: str, **members: Any) -> None:
        made = await retried(lambda: request(self._transport, OPERATOR, operation, **members))
        self.changes += 1
        self.generation = made["generation"] or self.generation
        self._wanted.say(operation, members)
        self._check(self.generation, copy.deepcopy(self._wanted), f"{operation} {members}")
        if self._random.random() < 0.3:
            await self.served()

    async def served(self) -> None:
        """Wait until every dispatcher serves the newest generation (L03)."""
        wanted = {"generation": self.generation}
        await retried(lambda: request(self._transport, OPERATOR, "wait_generation", **wanted))

    async def _plugin(self, number: int) -> None:
        """Stop or kill one process of plugins; another one takes its place after a while."""
        name = self._random.choice(list(self._cluster.form.plugins))
        wait = self._random.uniform(0.0, 1.5)
        await self._replace(name, number, wait, *self._cluster.form.plugins[name])

    async def _role(self, kind: str, number: int) -> None:
        """The last of a kind is left alone: its memory is looked at over all of the time."""
        names = sorted(n for n in self._cluster.roles if n.startswith(kind))
        if len(names) < 2:
            return
        targets = ["dispatcher"] if number == signal.SIGKILL and kind == "dispatcher" else []
        await self._replace(names[0], number, self._random.uniform(0.0, 0.5), *targets)

    async def _replace(self, name: str, number: int, wait: float, *targets: str) -> None:
        word = "kill" if number == signal.SIGKILL else "stop"
        faults = [self._faults.begin(f"{word} {name}", t) for t in targets or ("nobody",)]
        await asyncio.to_thread(self._cluster.processes[name].stop, number)
        await asyncio.sleep(wait)
        self._cluster.start(name)
        await self._present(name)
        for fault in faults:
            self._faults.end(fault)

    async def _present(self, name: str) -> None:
        """Wait until a process that was started answers."""
        pid = self._cluster.processes[name].pid
        plugins = self._cluster.form.plugins.get(name)
        kind = name.partition("-")[0]
        names = plugins or (f"hookbus-{kind}",)
        for service in names:
            await until(lambda service=service: self._answers(service, pid))
        if kind == "dispatcher" and not plugins:
            await until(lambda: self._is_loaded(pid))

    async def _answers(self, service: str, pid: int) -> bool:
        answers = await presence.ask(self._transport, "PING", service, window=WINDOW)
        return any(answer["metadata"].get("pid") == str(pid) for answer in answers)

    async def _is_loaded(self, pid: int) -> bool:
        stats = (await stats_of(self._transport, "dispatcher")).get(pid)
        return stats is not None and stats["data"]["generation"] > 0

    async def _hang_plugin(self) -> None:
        name = self._random.choice(list(self._cluster.form.plugins))
        wait = self._random.uniform(0.3, 2.0)
        targets = self._cluster.form.plugins[name]
        faults = [self._faults.begin(f"hang {name}", target) for target in targets]
        self._cluster.processes[name].send(signal.SIGSTOP)
        await asyncio.sleep(wait)
        self._cluster.processes[name].send(signal.SIGCONT)
        for fault in faults:
            self._faults.end(fault)
