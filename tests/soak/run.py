"""One soak from its start to its bars."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hookbus import subjects
from hookbus.keyvalue import Entry, NatsKeyValue
from hookbus.loop import run as run_loop
from hookbus.snapshot import decode_document
from hookbus.transport import NatsTransport
from tests.chaos.cluster import stats_of
from tests.soak.cluster import Cluster, Form
from tests.soak.director import Director
from tests.soak.faults import Faults
from tests.soak.judge import Judge, Verdicts
from tests.soak.load import Load, Tally
from tests.soak.memory import Held, Rest, Sample, descriptors_of, rss_of, tasks_of
from tests.soak.recorded import Recorded, compare, observers_are_done
from tests.soak.starving import Starving

SAMPLED: Final = 2.0  # seconds between two looks at memory
REST: Final = 0.5  # seconds between two looks at what is held at rest …
RESTS: Final = 5  # … of which there are at most so many: shadow calls may still run
SHOWN: Final = 10.0  # seconds between two live lines
TOP_IN_FLIGHT: Final = 64
TOP_SECONDS: Final = 5.0
WARMING: Final = 2.0  # seconds of load before the top rate is measured


@dataclass(frozen=True)
class Plan:
    """What is asked for: seconds, events a second (None: half of what is measured)."""

    seconds: float
    seed: int
    form: Form
    rate: float | None = None
    #: Seconds between disturbances, and between rests.
    pause: float = 1.5
    rest: float = 60.0


@dataclass
class Outcome:
    """All that was seen."""

    plan: Plan
    tally: Tally
    verdicts: Verdicts
    faults: Faults
    held: Held
    recorded: Recorded
    top: float | None = None
    rate: float = 0.0
    seconds: float = 0.0
    waiting: int = 0  # messages that observers have left
    unobserved: int = 0  # events that the observer was never shown
    generation: int = 0
    changes: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    starved: float = 0.0  # seconds in which the machine had no time for us


def soak(plan: Plan, show: Callable[[str], None]) -> Outcome:
    """Run one; *show* gets the live lines."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-soak-")))
        cluster = Cluster(stack, folder, plan.form, plan.seed)
        return run_loop(_Soak(plan, cluster, show).run())


class _Soak:
    def __init__(self, plan: Plan, cluster: Cluster, show: Callable[[str], None]) -> None:
        self._plan, self._cluster, self._show = plan, cluster, show
        self._faults = Faults()
        self._starving = Starving(self._pids)
        self._judge = Judge(plan.seed, self._faults, self._starving)
        self._held = Held()
        self._counters: dict[str, dict[str, int]] = {}
        self._since: dict[int, int] = {}  # by process, the events decided before it

    def _pids(self) -> list[int]:
        """Everybody's, and our own."""
        return [os.getpid(), *(p.pid for p in self._cluster.processes.values())]

    async def run(self) -> Outcome:
        url = self._cluster.broker.url
        operator = await NatsTransport.connect(url, principal="ops")
        emitting = await NatsTransport.connect(url, principal="chat")
        try:
            self._director = Director(
                self._cluster, operator, self._plan.seed, self._faults, self._judge.check
            )
            watching = asyncio.create_task(self._watch(operator))
            await self._director.begin()
            watch = await watching
            starving = asyncio.create_task(self._starving.watch())
            self._load = Load(emitting, self._plan.seed, self._judge, self._faults, self._starving)
            outcome = await self._drive(operator)
            starving.cancel()
            await watch.stop()
            return outcome
        finally:
            await emitting.close()
            await operator.close()

    async def _watch(self, transport: NatsTransport) -> Any:
        """Learn every generation that is made, from the first."""
        bucket = None
        while bucket is None:
            try:
                bucket = await NatsKeyValue.open(transport, subjects.CONFIG_BUCKET, create=False)
            except Exception:
                await asyncio.sleep(0.05)
        return await bucket.watch(subjects.CONFIG_KEY, self._on_config)

    def _on_config(self, entry: Entry) -> None:
        self._judge.learn(entry.revision, decode_document(entry.value))

    async def _drive(self, operator: NatsTransport) -> Outcome:
        load, plan, top = self._load, self._plan, None
        if plan.rate is None:
            await load.with_in_flight(TOP_IN_FLIGHT, WARMING)
            top = await load.with_in_flight(TOP_IN_FLIGHT, TOP_SECONDS)
        rate = plan.rate if plan.rate is not None else (top or 0.0) / 2
        self._show(f"seed {plan.seed}; top {top or 0:.0f}/s, driven at {rate:.0f}/s")
        self._began = time.monotonic()
        until = self._began + plan.seconds
        looking = asyncio.create_task(self._look(operator))
        telling = asyncio.create_task(self._tell())
        directing = asyncio.create_task(self._director.disturb(until, plan.pause))
        while (now := time.monotonic()) < until:
            await load.at_rate(rate, min(until, now + plan.rest))
            quiet = asyncio.create_task(self._director.quiet.acquire())
            while not quiet.done():  # it goes on until the last disturbance is over
                await load.at_rate(rate, time.monotonic() + REST)
            await load.rest()
            await self._at_rest(operator)
            self._director.quiet.release()
        await directing
        for task in (looking, telling):
            task.cancel()
        waiting = await observers_are_done(operator)
        observed = set(self._cluster.observed.read_text().split())
        self._judge.finish()
        recorded = await compare(operator, load.tally.decisions)
        return Outcome(
            plan,
            load.tally,
            self._judge.done,
            self._faults,
            self._held,
            recorded,
            top=top,
            rate=rate,
            seconds=time.monotonic() - self._began,
            waiting=waiting,
            unobserved=len(self._judge.observed - observed),
            generation=max(self._judge.generations),
            changes=self._director.changes,
            counters=self._sum(),
            starved=self._starving.seconds,
        )

    async def _look(self, operator: NatsTransport) -> None:
        while True:
            await asyncio.sleep(SAMPLED)
            await self._sample(operator)

    async def _sample(self, operator: NatsTransport) -> None:
        """Look at memory, by the events that the process itself has decided."""
        stats = await stats_of(operator, "dispatcher")
        pids = {p.pid: name for name, p in self._cluster.roles.items()}
        for pid, name in pids.items():
            if name.startswith("dispatcher"):
                if pid not in stats:
                    continue
                data = stats[pid]["data"]
                events = data["counters"].get("decisions", 0)
                self._counters[str(pid)] = data["counters"]
            else:
                decided = self._load.tally.decided
                events = decided - self._since.setdefault(pid, decided)
            rss = rss_of(pid)
            if rss:
                self._held.samples[f"{name} {pid}"].append(Sample(events, rss))

    async def _at_rest(self, operator: NatsTransport) -> None:
        """Look at what is held while nothing is in flight."""
        await self._sample(operator)
        roles = {f"{n} {p.pid}": p for n, p in self._cluster.roles.items()}
        looks: list[dict[str, int]] = []
        for _ in range(RESTS):
            await asyncio.sleep(REST)
            looks.append({k: await asyncio.to_thread(tasks_of, p) for k, p in roles.items()})
            firsts = {k: self._held.rests[k][0].tasks for k in roles if self._held.rests[k]}
            if len(looks) > 1 and all(looks[-1][k] <= tasks for k, tasks in firsts.items()):
                break
        for key, process in roles.items():
            tasks = min(look[key] for look in looks)
            self._held.rests[key].append(Rest(descriptors_of(process.pid), tasks))

    def _sum(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for counters in self._counters.values():
            for name, count in counters.items():
                total[name] = total.get(name, 0) + count
        return total

    async def _tell(self) -> None:
        before = 0
        while True:
            await asyncio.sleep(SHOWN)
            tally, done = self._load.tally, self._judge.done
            took = sorted(tally.took)
            p50, p99 = (took[len(took) * n // 100] * 1000 if took else 0 for n in (50, 99))
            rss = "/".join(f"{rss_of(p.pid) >> 20}" for p in self._cluster.roles.values())
            self._show(
                f"{time.monotonic() - self._began:5.0f} s {tally.decided:7} ev"
                f" {(tally.decided - before) / SHOWN:4.0f}/s wrong {len(done.wrong)}"
                f" lost {tally.lost}+{len(tally.lost_oddly)} odd {sum(done.odd.values())}"
                f" faults {len(self._faults.found)} gen {max(self._judge.generations)}"
                f" rss {rss} p50 {p50:.1f} p99 {p99:.0f} ms"
            )
            before = tally.decided
