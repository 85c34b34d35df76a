"""Each decision beside what it must be; what the world is blamed for is looked at, too."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hookbus import verdict_bytes
from hookbus.errors import InvalidEvent
from hookbus.models import Decision
from hookbus.snapshot import ConfigDocument, lapsed, next_lapse
from tests.model import hookbus_side
from tests.model.aggregate import Tally
from tests.model.calls import SILENT, budget
from tests.model.values import MS, Event, Fails, Hook
from tests.soak.behaviour import TYPE
from tests.soak.faults import Faults
from tests.soak.replay import Excuse, Found, Origin, Remembered, Replay, origin_of, said_in
from tests.soak.settings import SCHEMA, fits, settings_of
from tests.soak.starving import Starving
from tests.soak.wanted import Wanted

#: Milliseconds by which two clocks, loops and pipes may be late on a machine that has much to do.
SLACK_MS: Final = 100
EARLY_MS: Final = 2.0  # by which a timer may come early
LAPSE_GRACE: Final = 1.0  # seconds after which a dispatcher ends an operator's mode by itself
KEPT: Final = 20_000  # verdicts that may be in a cache somewhere
PATIENCE: Final = 20.0  # seconds until what a decision refers to is known


@dataclass(frozen=True)
class Emitted:
    """One emit: seconds on the monotonic clock and, of the start, since the epoch."""

    number: int
    event: Event
    began: float
    ended: float
    wall: float
    #: It came before with other content, or with the same.
    is_reuse: bool = False
    is_repeat: bool = False


@dataclass
class Verdicts:
    """What was judged so far."""

    judged: int = 0
    wrong: list[str] = field(default_factory=list)
    #: Failures and the like that nothing explains, by kind, and all, by kind.
    odd: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    #: What would be odd, had the machine had time for everybody.
    starved: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    oddities: deque[str] = field(default_factory=lambda: deque(maxlen=20))


class Judge:
    """Knows every generation, every verdict that may be cached, and every fault."""

    def __init__(self, seed: int, faults: Faults, starving: Starving) -> None:
        self.seed, self.faults, self._starving = seed, faults, starving
        self.done = Verdicts()
        self.generations: dict[int, ConfigDocument] = {}
        self.running: Counter[str] = Counter()
        self.lost: set[str] = set()
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._made_at: dict[int, float] = {}
        self._checks: list[tuple[int, Wanted, str]] = []
        #: Event ids that the observer must be shown.
        self.observed: set[str] = set()
        self._remembered: OrderedDict[Origin, Remembered] = OrderedDict()
        self._failed: defaultdict[tuple[str, str], deque[float]] = defaultdict(
            lambda: deque(maxlen=100)
        )

    def learn(self, generation: int, document: ConfigDocument) -> None:
        """A generation was made."""
        self.generations[generation] = document
        self._made_at[generation] = time.monotonic()
        self._changed.set()

    def check(self, generation: int, wanted: Wanted, what: str) -> None:
        """An operator was told that *what* made that generation."""
        self._checks.append((generation, wanted, what))

    def finish(self) -> None:
        """Look at what was put off until everything is known."""
        for generation, wanted, what in self._checks:
            document = self.generations.get(generation)
            found = wanted.differences(document) if document else ["it was never made"]
            if found:
                self.done.wrong.append(f"generation {generation} after {what}: {found}")

    async def judge(self, emitted: Emitted, decision: Decision) -> None:
        """Compare one decision with the model's."""
        self.done.judged += 1
        self.done.outcomes[f"{decision.outcome} {decision.cause or ''}".strip()] += 1
        found = msgspec.to_builtins(decision)
        if found["outcome"] != "intercept":
            if decision.outcome == "continue" and found["data"] != emitted.event.data:
                self._wrong(emitted, found, found, "the data of a continue is not the event's")
            found.pop("data", None)
        async with asyncio.timeout(PATIENCE):
            documents = await self._documents(decision.generation, emitted)
            await self._await_origins(emitted, found)
        async with self._turn:  # thousands may be due at once, and emits are to go on
            await asyncio.sleep(0)
            self._compare(emitted, found, documents)

    def _compare(
        self, emitted: Emitted, found: dict[str, Any], documents: list[ConfigDocument]
    ) -> None:
        is_refused = not fits(emitted.event.data)
        if is_refused and all(d.types[TYPE].schema == SCHEMA for d in documents):
            self._wrong(emitted, found, found, "it breaks the schema, and is decided")
        replays = [self._replay(d, emitted.event, found) for d in documents]
        for replay, expected in replays:
            if _bytes(expected) == _bytes(found):
                self._remember(replay)
                self._audit(emitted, replay, found)
                if not emitted.event.dry_run and found["cause"] != "audit":
                    self.observed.add(emitted.event.id)  # R27
                return
        if emitted.is_reuse and _bytes(_reused(emitted.event, found)) == _bytes(found):
            self.done.excused["id_reuse"] += 1
            return
        self._wrong(emitted, found, replays[0][1] if replays else {})

    def repeated(self, emitted: Emitted, decision: Decision, *, is_same: bool) -> None:
        """R26: the decision came before; only the same event may get it again, and as it was."""
        self.done.excused["repeated"] += 1
        is_kept = not decision.degraded and decision.cause in (None, "verdict")
        if not (is_same and is_kept and emitted.is_repeat):
            found = msgspec.to_builtins(decision)
            self._wrong(emitted, found, found, "it was not to be given again, or not like this")

    def failed(self, number: int, why: str) -> None:
        """An emit raised, or it could not be judged."""
        self.done.wrong.append(f"event {number}: {why}")

    def refused(self, emitted: Emitted, error: InvalidEvent) -> None:
        """Only what breaks the type's schema of a generation in use is refused."""
        self.done.judged += 1
        self.done.outcomes[f"refused {error.code}"] += 1
        made = sorted(self._made_at.items())
        in_use = [
            generation
            for index, (generation, began) in enumerate(made)
            if began <= emitted.ended
            and (index + 1 == len(made) or made[index + 1][1] + PATIENCE >= emitted.began)
        ]
        schemas = [self.generations[each].types[TYPE].schema for each in in_use]
        if error.code != "schema" or fits(emitted.event.data) or SCHEMA not in schemas:
            self.failed(emitted.number, f"refused: {error.code}: {error}; generations {in_use}")

    async def _documents(self, generation: int, emitted: Emitted) -> list[ConfigDocument]:
        """What that generation may mean: a dispatcher may end a mode by itself, in time."""
        while generation not in self.generations:
            self._changed.clear()
            await self._changed.wait()
        documents = [self.generations[generation]]
        now = emitted.wall + emitted.ended - emitted.began
        while (ends := next_lapse(documents[-1])) is not None and ends + LAPSE_GRACE <= now:
            documents.append(lapsed(documents[-1], ends))
        return documents

    def _replay(
        self, document: ConfigDocument, event: Event, found: dict[str, Any]
    ) -> tuple[Replay, dict[str, Any]]:
        settings = settings_of(found["generation"], document)
        left = budget(event.timeout_ms)
        if document.limits.audit:
            left = budget(left / MS)
        replay = Replay(settings, event, left, self.seed, Found.of(found), self._cached)
        expected = replay.decide()[0]
        secrets = document.types[TYPE].secret
        expected["masked"] = [
            p for p in secrets if any(isinstance(s, dict) and p[1:] in s for s in replay.states)
        ]
        if document.limits.audit and found["cause"] == "audit":
            expected = _withdrawn(expected, found["reason"])
        return replay, expected

    def _cached(self, hook: Hook, record: dict[str, Any]) -> Remembered | None:
        told = record["annotations"]
        known = self._remembered.get(origin_of(hook, told))
        if known is None and told.get("event") in self.lost:
            # nobody got the decision that it was in: what it said is taken from here
            self.done.excused["cached_of_lost"] += 1
            return said_in(record)
        return known

    async def _await_origins(self, emitted: Emitted, found: dict[str, Any]) -> None:
        """What a cached verdict was first given to may be answered later than who got it again."""
        for record in found["records"]:
            origin = record["annotations"].get("event")
            if not any(n["kind"] == "cache_hit" for n in record["notes"]):
                continue
            while origin != emitted.event.id and self.running[origin]:
                self._changed.clear()
                await self._changed.wait()

    def began(self, event: str) -> None:
        """An emit is on its way."""
        self.running[event] += 1

    def ended(self, event: str, *, is_lost: bool = False) -> None:
        """An emit has ended, and its decision, if there was one, is judged."""
        self.running[event] -= 1
        if not self.running[event]:
            del self.running[event]
        if is_lost:
            self.lost.add(event)
        self._changed.set()

    def _remember(self, replay: Replay) -> None:
        for key, verdict in replay.verdicts.items():
            self._remembered[key] = verdict
        while len(self._remembered) > KEPT:
            self._remembered.popitem(last=False)

    def _wrong(
        self,
        emitted: Emitted,
        found: dict[str, Any],
        expected: dict[str, Any],
        what: str = "the decision is not the model's",
    ) -> None:
        self.done.wrong.append(report(emitted, found, expected, what))

    def _audit(self, emitted: Emitted, replay: Replay, found: dict[str, Any]) -> None:
        """Look at what the world was blamed for."""
        if found["cause"] == "audit":
            self._explain_audit(emitted, replay)
        for excuse in replay.excuses:
            self.done.excused[excuse.what] += 1
            if excuse.what in ("timeout", "overloaded"):
                key = (excuse.hook.plugin, excuse.hook.mode)
                self._failed[key].append(emitted.ended)
            why = self._unexplained(emitted, excuse)
            if why is not None and self._starving.in_time(emitted.began, emitted.ended):
                self.done.starved[excuse.what] += 1
            elif why is not None:
                self.done.odd[excuse.what] += 1
                self.done.oddities.append(
                    f"event {emitted.number}, {excuse.hook.plugin}/{excuse.hook.name}:"
                    f" {excuse.what} after {excuse.ms:.1f} ms: {why}"
                )

    def _explain_audit(self, emitted: Emitted, replay: Replay) -> None:
        """The stream acknowledges at once, if there is any time."""
        left_ms = float(replay.budget - replay.now) / MS
        if left_ms < SLACK_MS:
            self.done.excused["audit"] += 1
        elif self._starving.in_time(emitted.began, emitted.ended):
            self.done.starved["audit"] += 1
        else:
            self.done.odd["audit"] += 1
            self.done.oddities.append(
                f"event {emitted.number}: not recorded, with {left_ms:.0f} ms left"
            )

    def _unexplained(self, emitted: Emitted, excuse: Excuse) -> str | None:
        """Say what is strange about an excuse; None is nothing."""
        hook, step = excuse.hook, excuse.step
        if excuse.what in ("cached", "breaker_open", "spent", "shed"):
            return None
        own = hook.timeout_ms + excuse.extended_ms
        if excuse.what == "timeout" and _tells_whose_time(hook):
            if excuse.is_shortened and excuse.cap_ms > own + SLACK_MS:
                return f"its event had {excuse.cap_ms:.0f} ms left"
            if not excuse.is_shortened and min(excuse.cap_ms, excuse.ms) < own - EARLY_MS:
                return f"expected {own} ms; its event had {excuse.cap_ms:.0f} ms left"
        if self.faults.touched(hook.plugin, emitted.began, emitted.ended):
            return None
        if excuse.what == "answered" and step is not None:
            is_late = step.after / MS > own + hook.max_extension_ms + SLACK_MS
            return f"it answers after {step.after / MS:.0f} ms" if is_late else None
        if excuse.what == "timeout" and step is not None:
            is_silent = isinstance(step.answer, Fails) and step.answer.how in SILENT
            is_late = step.after / MS + SLACK_MS >= min(own, excuse.cap_ms)
            return None if is_silent or is_late else f"it answers after {step.after / MS:.0f} ms"
        return "nothing was disturbed"


def _tells_whose_time(hook: Hook) -> bool:
    """Only of a closed, enforced hook the decision tells whether the budget cut its time (R7)."""
    return hook.is_closed and hook.mode == "enforce"


def report(emitted: Emitted, found: dict[str, Any], expected: dict[str, Any], what: str) -> str:
    """Say what differs between two decisions, and about what event."""
    lines = [f"event {emitted.number}: {what}", f"  event: {emitted.event}"]
    one, two = _plain(found), _plain(expected)
    for name in sorted({*one, *two} - {"records"}):
        lines += _differing(name, one.get(name), two.get(name))
    for index in range(max(len(one.get("records", ())), len(two.get("records", ())))):
        lines += _differing(f"record {index}", _at(one, index), _at(two, index))
    lines.append(f"  as it came: {json.dumps(found, sort_keys=True)}")
    return "\n".join(lines)


def _differing(name: str, found: Any, expected: Any) -> list[str]:
    if found == expected:
        return []
    return [f"  {name}: expected {expected!r}", f"  {name}: found    {found!r}"]


def _at(decision: dict[str, Any], index: int) -> Any:
    records = decision.get("records", [])
    return records[index] if index < len(records) else None


def _plain(decision: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(_bytes(decision)) if decision else {}
    return plain


def _bytes(decision: dict[str, Any]) -> bytes:
    """Verdict bytes without the wording of failures, of the model's decision or hookbus's."""
    event = {"id": "-", **decision["event"]}
    return verdict_bytes(hookbus_side.without_wording({"id": "-", **decision, "event": event}))


def _withdrawn(decision: dict[str, Any], reason: str) -> dict[str, Any]:
    """The Block that stands for a decision whose record is not stored in time (R28)."""
    primary = {name: decision[name] for name in ("by", "cause", "code", "reason", "message")}
    return {
        **{name: value for name, value in decision.items() if name != "data"},
        "outcome": "block",
        "cause": "audit",
        "code": "audit_unavailable",
        "by": None,
        "reason": reason,
        "message": None,
        "others": [*([primary] if decision["cause"] else []), *decision["others"]],
    }


def _reused(event: Event, found: dict[str, Any]) -> dict[str, Any]:
    """What an id comes to that came before with other content (R26)."""
    tally = Tally()
    tally.object(None, "config", "id_reuse")
    return tally.decision(event, event.data, found["generation"])
