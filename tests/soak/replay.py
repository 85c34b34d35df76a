"""The reference model on one event; the decision tells it only what clock and world did. Pure.

What a plugin answered is worked out from behaviour.py, what it comes to by the model. Of the
decision itself nothing is believed but: this call was not answered (in time), or by nobody; this
one was not made, because a breaker was open or the time was over; this verdict was in the cache.
Each such excuse is handed out to be judged for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tests.model.aggregate import Turn
from tests.model.calls import RETRIED, SILENT, Heard
from tests.model.model import Bus, Deciding
from tests.model.values import MS, Event, Fails, Hook, Says, Settings, Step
from tests.soak.behaviour import act, question

#: What the world, and not the plugin's code, can make of a call.
WORLD: Final = {"timeout", "no_responders", "transport", "overloaded", "cancelled"}


ENDLESS: Final = Fraction(10**12)  # microseconds


@dataclass(frozen=True)
class Excuse:
    """The world did *what* to one call. *step*: what the plugin meant to do, if it was asked."""

    what: str
    hook: Hook
    ms: float
    step: Step | None = None
    extended_ms: int = 0
    is_shortened: bool = False
    #: Milliseconds that the event's budget left it at most, by what came before it.
    cap_ms: float = float("inf")


@dataclass(frozen=True)
class Remembered:
    """A verdict that may be in a cache: what was said, and what it may be used for."""

    said: Says
    key: str | None
    generation: int | None


def said_in(record: Mapping[str, Any]) -> Remembered:
    """A verdict as a record tells it."""
    names = ("verdict", "code", "annotations")
    reason = record["reason"] or ""
    return Remembered(Says(**{n: record[n] for n in names}, reason=reason), None, None)


#: Where a verdict came from: plugin, hook, event id, what it saw, round and attempt.
Origin = tuple[str, str, str, str, str]


def origin_of(hook: Hook, told: Mapping[str, str]) -> Origin:
    """Name a verdict by its annotations."""
    return (hook.plugin, hook.name, *(told.get(name, "") for name in ("event", "saw", "asked")))


@dataclass
class Found:
    """The decision as it was received, by what is looked up in it."""

    records: dict[tuple[str, str, int], dict[str, Any]]
    deadlines: set[str]

    @classmethod
    def of(cls, decision: dict[str, Any]) -> Found:
        blocks = [decision, *decision["others"]]
        return cls(
            {(r["plugin"], r["hook"], r["round"]): r for r in decision["records"]},
            {b["by"] for b in blocks if b["cause"] == "deadline"},
        )


class Replay(Deciding):
    """One event decided once more."""

    def __init__(
        self,
        settings: Settings,
        event: Event,
        budget: Fraction,
        seed: int,
        found: Found,
        cached: Callable[[Hook, dict[str, Any]], Remembered | None],
    ) -> None:
        super().__init__(Bus(settings), event, Fraction(0))
        self.budget, self.ends = budget, ENDLESS  # how much was left is the world's
        self.seed, self.found, self._cached = seed, found, cached
        self.excuses: list[Excuse] = []
        #: Every state of the data that a plugin made, or in `warn` would have made.
        self.states = [event.data]
        self.verdicts: dict[Origin, Remembered] = {}

    def _record(self, hook: Hook, number: int) -> dict[str, Any] | None:
        return self.found.records.get((hook.plugin, hook.name, number))

    def settled_unasked(self, hook: Hook, number: int) -> Turn | None:
        turn = super().settled_unasked(hook, number)
        record = self._record(hook, number)
        if turn is not None or record is None or record["attempt"] > 0:
            return turn
        turn = Turn(hook, number, Heard(attempt=0))
        kinds = [note["kind"] for note in record["notes"]]
        if kinds == ["cache_hit"]:
            known = self._cached(hook, record)
            if known is None or not self._may_be_used(known, hook):
                return None  # then it should have been asked
            turn.is_cached, turn.heard.said = True, known.said
            turn.notes = [{"kind": "cache_hit"}]
        elif record["failure"] == "breaker_open":
            turn.heard.failure, turn.notes = "breaker_open", [{"kind": "breaker_open"}]
        elif record["failure"] == "timeout":
            turn.heard.failure, turn.heard.is_shortened = "timeout", True
        elif kinds == ["shed"]:
            turn.notes = [{"kind": "shed"}]
        else:
            return None
        what = "cached" if turn.is_cached else "spent" if not kinds else kinds[0]
        self.excuses.append(Excuse(what, hook, 0.0))
        return turn

    def _may_be_used(self, known: Remembered, hook: Hook) -> bool:
        is_current = known.generation in (None, self.settings.generation)
        return is_current and known.key in (None, self.cache_key(hook))

    def hear(self, hook: Hook, number: int, reserve: int, stages_left: int) -> Heard:
        record = self._record(hook, number)
        if record is None or not record["attempt"]:
            return Heard(failure="not_asked")  # no record says so, and the model asks
        steps = [self._step(hook, number, n) for n in range(1, record["attempt"] + 1)]
        if not self._may_repeat(hook, steps, record):
            return Heard(failure="asked_again")
        heard = Heard(attempt=record["attempt"], notes=_extended(hook, steps, record))
        heard.lasted = Fraction(record["ms"]) * MS
        cap_ms = self._cap_ms(hook, reserve, stages_left)
        failure, answer = record["failure"], steps[-1].answer
        if failure in WORLD and not (isinstance(answer, Fails) and answer.how == failure):
            heard.failure = failure
            heard.is_shortened = failure == "timeout" and hook.plugin in self.found.deadlines
            extended = sum(note["ms"] for note in heard.notes)
            self.excuses.append(
                Excuse(failure, hook, record["ms"], steps[-1], extended, heard.is_shortened, cap_ms)
            )
        elif isinstance(answer, Fails):
            heard.failure = "timeout" if answer.how in SILENT else answer.how
        else:
            heard.said = answer
            self.excuses.append(Excuse("answered", hook, record["ms"], steps[-1], cap_ms=cap_ms))
        return heard

    def _cap_ms(self, hook: Hook, reserve: int, stages_left: int) -> float:
        """R6: what is left at most, as the records tell how long it took so far."""
        remaining = self.budget - self.now
        cap = remaining - reserve * MS
        if cap < hook.min_ms * MS:
            cap = remaining / stages_left
        return float(cap) / MS

    def _step(self, hook: Hook, number: int, attempt: int) -> Step:
        asked = question(hook.plugin, hook.name, self.event.id, self.data, number, attempt)
        return act(self.seed, asked).step

    def _may_repeat(self, hook: Hook, steps: list[Step], record: dict[str, Any]) -> bool:
        """A call was repeated only as often, and only after what, the rules say."""
        if record["attempt"] > 1 + hook.retry:
            return False
        for step in steps[:-1]:
            is_failed = isinstance(step.answer, Fails) and step.answer.how in RETRIED
            if not is_failed or hook.side_effects != "none":
                self.excuses.append(Excuse("repeated", hook, record["ms"], step))
        return True

    def finish(self, turn: Turn) -> None:
        super().finish(turn)
        hook, said = turn.hook, turn.heard.said
        if turn.pointers:
            self.states.append(turn.after)
        if turn.is_asked and hook.cache_ttl_ms and said is not None and said.change is None:
            known = Remembered(said, self.cache_key(hook), self.settings.generation)
            self.verdicts[origin_of(hook, said.annotations)] = known


def _extended(hook: Hook, steps: list[Step], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Whether more time was asked for early enough is the clock's; how much is not."""
    if not any(note["kind"] == "extended" for note in record["notes"]):
        return []
    wanted = next((step.extend[1] for step in steps if step.extend is not None), None)
    if wanted is None or not hook.max_extension_ms:
        return []
    return [{"kind": "extended", "ms": min(wanted, hook.max_extension_ms)}]
