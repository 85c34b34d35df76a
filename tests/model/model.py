"""The reference model: the rules of semantics.md once more, straight from the page. Pure.

It is the second opinion on hookbus, so it imports nothing from it and was written from the text:
one event at a time, virtual time as exact numbers, patches by the package `jsonpatch`, plugins as
scripts. What comes out has the members of a decision that ``verdict_bytes`` keeps. The wording of
failures is the implementation's own affair: here their reason is their class, and
`tests.model.hookbus_side.without_wording` cuts the other side's down to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tests.model.aggregate import Tally, Turn
from tests.model.calls import Breaker, Heard, Time, allowance, before, budget, call
from tests.model.documents import (
    NOTHING,
    CannotApply,
    applied,
    covers,
    decoded,
    difference,
    merged,
    overlap,
    same_at,
    value_at,
    writes,
)
from tests.model.values import MS, Event, Hook, Says, Settings, Step

WINDOW = 120_000 * MS  # R26
#: A reading of R6 and R7: what is less than the least timeout a plugin can be told is no budget.
SPENT = 1 * MS


class ForbiddenWrite(Exception):
    """An operation writes outside ``writable``, and ``disallow`` is ``error``."""


class Bus:
    """A dispatcher's whole memory: breakers, cached verdicts, events of the last two minutes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._received: dict[tuple[str, str], int] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._cache: dict[str, tuple[Time, Says]] = {}
        self._kept: dict[tuple[str, str, str, bool], tuple[Time, str, dict[str, Any]]] = {}

    def decide(self, event: Event, now: Time) -> tuple[dict[str, Any], Time]:
        """Return the decision about an event that comes in at *now*, and when it is made."""
        if not self.settings.idempotency:
            return Deciding(self, event, now).decide()
        key = (event.principal, event.source, event.id, event.dry_run)
        content = canonical([event.type, event.data])
        known = self._kept.get(key)
        if known is not None and before(now, known[0]):  # R26
            if known[1] == content:
                return known[2], now
            repeated = Deciding(self, event, now)
            repeated.tally.object(None, "config", "id_reuse")
            return repeated.decision(), now
        decision, ends = Deciding(self, event, now).decide()
        if not decision["degraded"] and decision["cause"] in (None, "verdict"):
            self._kept[key] = ends + WINDOW, content, decision
        return decision, ends

    def next_step(self, hook: Hook) -> Step | None:
        """The plugin receives one more call of that hook."""
        if not hook.script:
            return None
        count = self._received.get((hook.plugin, hook.name), 0)
        self._received[hook.plugin, hook.name] = count + 1
        return hook.script[min(count, len(hook.script) - 1)]

    def breaker(self, hook: Hook) -> Breaker:
        """R21: one per plugin; R15: warn has its own."""
        return self._breakers.setdefault((hook.plugin, hook.mode), Breaker(self.settings))

    def cached(self, key: str, now: Time) -> Says | None:
        until, said = self._cache.get(key, (None, None))
        return said if until is not None and before(now, until) else None

    def keep(self, key: str, said: Says, until: Time) -> None:
        self._cache[key] = until, said


class Deciding:
    """One event on its way through the rules."""

    def __init__(self, bus: Bus, event: Event, now: Time) -> None:
        self.bus, self.event, self.now = bus, event, now
        self.settings = bus.settings
        self.ends = now + budget(event.timeout_ms)
        self.data = event.data
        hooks = sorted(self.settings.hooks, key=lambda h: h.order)
        # R15: a shadow hook leaves nothing in the decision; an off one is not there
        awaited = [h for h in hooks if h.mode in ("enforce", "warn")]
        self.mutators = [h for h in awaited if h.phase == "mutate"]
        self.validators = [h for h in awaited if h.phase == "validate"]
        self.chain = self._chain()
        self.tally = Tally()

    def decide(self) -> tuple[dict[str, Any], Time]:
        """R1: mutate, schema check, validate, combine."""
        if len(self.chain) > self.settings.max_depth:  # R23
            self.tally.object(None, "loop", "max_depth", " > ".join(self.chain))
            return self.decision(), self.now
        self.mutate()
        if not self.tally.objections:
            self.check_schema()
        if not self.tally.objections:
            self.validate()
        return self.decision(), self.now

    def decision(self) -> dict[str, Any]:
        return self.tally.decision(self.event, self.data, self.settings.generation)

    def _chain(self) -> tuple[str, ...]:
        """R23: a bound plugin that emits is named last."""
        chain, principal = self.event.chain, self.event.principal
        is_bound = any(h.plugin == principal for h in self.settings.hooks)
        return (*chain, principal) if is_bound and chain[-1:] != (principal,) else chain

    # mutate

    def mutate(self) -> None:
        """R2, R3, R11, R12: one after another, in rounds, until a Block."""
        called: dict[int, int] = {}  # of each hook called: the changes known at its last call
        changed_by: list[str] = []

        def is_due(index: int, hook: Hook) -> bool:
            others = [name for name in changed_by[called.get(index, 0) :] if name != hook.plugin]
            return index in called and hook.reinvoke == "if_needed" and bool(others)

        for number in range(1, self.settings.type.max_rounds + 1):
            written: list[tuple[str, str, Any]] = []
            for index, hook in enumerate(self.mutators):
                if number > 1 and not is_due(index, hook):
                    continue
                turn = self.take_turn(hook, number, *self._foreseen(index, number))
                if turn.is_asked or index in called:
                    called[index] = len(changed_by)
                if turn.changes and not self.tally.objections:
                    self.data = turn.after
                    changed_by.append(hook.plugin)
                    self.find_conflicts(turn, written)
                if self.tally.objections:
                    return
        unsettled = [h for i, h in enumerate(self.mutators) if is_due(i, h)]
        if any(h.mode == "enforce" for h in unsettled):  # R12; R15: a warn hook decides nothing
            if self.settings.type.on_not_converged == "block":
                self.tally.object(None, "verdict", "not_converged")
            else:
                self.tally.warnings.append("not_converged")

    def _foreseen(self, index: int, number: int) -> tuple[int, int]:
        """R6: reserve, in milliseconds, and stages left; of later rounds nobody is foreseen."""
        later = self.mutators[index + 1 :] if number == 1 else []
        stages: list[list[Hook]] = [[hook] for hook in later]
        if self.validators:
            stages.append(self.validators)
        minimums = [
            [h.min_ms for h in stage if h.is_closed and h.mode == "enforce"] for stage in stages
        ]
        return sum(max(each, default=0) for each in minimums), 1 + len(stages)

    def take_turn(self, hook: Hook, number: int, reserve: int, stages_left: int) -> Turn:
        turn = self.settled_unasked(hook, number) or self.ask(hook, number, reserve, stages_left)
        self.now += turn.heard.lasted
        turn.is_misled = turn.heard.failure == "service_error" and self.breaks_schema()
        self.finish(turn)
        if turn.is_misled and hook.is_closed and hook.mode == "enforce":
            self.check_schema()
        return turn

    def find_conflicts(self, turn: Turn, written: list[tuple[str, str, Any]]) -> None:
        """R10. *written*: plugin, net-written pointer and its payload, in this round so far."""
        hook, found = turn.hook, []
        for plugin, pointer, after in written:
            shared = [path for p in turn.pointers if (path := overlap(pointer, p)) is not None]
            if plugin == hook.plugin or not shared or same_at(shared[0], after, turn.after):
                continue
            if not any(covers(listed, pointer) for listed in hook.rewrites):
                found.append({"path": shared[0], "loser": plugin, "winner": hook.plugin})
        written.extend((hook.plugin, pointer, turn.after) for pointer in turn.pointers)
        self.tally.conflicts.extend(found)
        if found and self.settings.type.conflict == "block":
            self.tally.object(hook.plugin, "verdict", "write_conflict")

    def check_schema(self) -> None:
        """R1: the culprit last wrote there, else last changed."""
        if not self.breaks_schema():
            return
        mutators = [record for record in reversed(self.tally.records) if record["mutated"]]
        wrote = [r for r in mutators if any(overlap(p, "/n") is not None for p in r["pointers"])]
        self.tally.object([*wrote, *mutators][0]["plugin"], "failure", "schema")

    def breaks_schema(self) -> bool:
        """``n``, if there, is an integer."""
        data = self.data
        if not self.settings.type.wants_number or not isinstance(data, dict) or "n" not in data:
            return False
        return not isinstance(data["n"], int) or isinstance(data["n"], bool)

    # validate

    def validate(self) -> None:
        """R4: all at once, all awaited; entered in order."""
        asked_at = self.now
        turns = [self.settled_unasked(h, 1) or self.ask(h, 1, 0, 1) for h in self.validators]
        self.now = asked_at + max((t.heard.lasted for t in turns), default=Fraction(0))
        for turn in turns:
            self.finish(turn)

    # one call, and what stands around it

    def settled_unasked(self, hook: Hook, number: int) -> Turn | None:
        """Everything that keeps a hook from being called."""
        turn = Turn(hook, number, Heard(attempt=0))
        holds = [check.holds(self.data) for check in hook.when]
        if self.event.principal == hook.plugin:  # R23
            turn.notes = [{"kind": "self"}]
        elif False in holds:  # R14
            first = holds.index(False)  # G02: the record names it
            note = {"kind": "condition_false", "index": first, "condition": hook.when[first].text}
            turn.notes = [note]
        elif None in holds:
            turn.heard.failure = "match_error"
        elif self.event.dry_run and hook.side_effects == "some":  # dry run
            turn.is_unsupported = True
            turn.notes = [{"kind": "dry_run_unsupported"}]
        elif (said := self.bus.cached(self.cache_key(hook), self.now)) is not None:
            turn.is_cached, turn.heard.said = True, said
            turn.notes = [{"kind": "cache_hit"}]
        elif self.ends == self.now or before(self.ends - self.now, SPENT):  # R7
            turn.heard.failure, turn.heard.is_shortened = "timeout", True
        elif not self.bus.breaker(hook).admits(self.now):  # R20
            turn.heard.failure = "breaker_open"
            turn.notes = [{"kind": "breaker_open"}]
        else:
            return None
        return turn

    def ask(self, hook: Hook, number: int, reserve: int, stages_left: int) -> Turn:
        """Call, and judge what was said on this stage's input."""
        heard = self.hear(hook, number, reserve, stages_left)
        turn = Turn(hook, number, heard, notes=list(heard.notes))
        if heard.said is not None and heard.said.change is not None:
            try:
                self.change(turn, *heard.said.change)
            except CannotApply:
                heard.said, heard.failure = None, "bad_patch"
            except ForbiddenWrite:
                heard.said, heard.failure = None, "forbidden_write"
        return turn

    def hear(self, hook: Hook, number: int, reserve: int, stages_left: int) -> Heard:
        """Call: what comes of it in its time."""
        given = allowance(self.ends - self.now, hook, reserve, stages_left)
        return call(hook, self._next_step_of(hook), given)

    def _next_step_of(self, hook: Hook) -> Callable[[], Step | None]:
        return lambda: self.bus.next_step(hook)

    def change(self, turn: Turn, kind: str, value: Any) -> None:
        """R8, R9 and ``writable``; in validate an Intercept is a phase violation (B08)."""
        if turn.hook.phase == "validate":
            turn.heard.said, turn.heard.failure = None, "phase_violation"
            return
        if kind == "patch":
            operations = decoded(value)
        else:
            after = merged(self.data, value) if kind == "merge" else value
            operations = difference(self.data, after)
        kept, dropped = [], []
        for operation in operations:
            outside = [
                p for p in writes(operation) if not any(covers(w, p) for w in turn.hook.writable)
            ]
            if outside and turn.hook.disallow == "error":  # F01
                raise ForbiddenWrite
            if outside:  # F02
                dropped.append({"kind": "disallowed_op", "path": outside[0]})
            else:
                kept.append(operation)
        turn.after = applied(self.data, kept)
        turn.operations = kept
        turn.pointers = [op["path"] for op in difference(self.data, turn.after)]
        turn.notes += dropped

    def cache_key(self, hook: Hook) -> str:
        event = self.event
        on = [hook.plugin, hook.name, event.principal, event.type, event.source, event.dry_run]
        if not hook.cache_key:
            return canonical([*on, self.data])
        parts = [value_at(self.data, pointer) for pointer in hook.cache_key]
        return canonical([*on, [[] if part is NOTHING else [part] for part in parts]])

    # what it comes to

    def finish(self, turn: Turn) -> None:
        """Breaker and cache learn; then it is entered."""
        hook, heard = turn.hook, turn.heard
        if turn.is_asked:
            failed = "schema" if turn.is_misled else heard.failure  # not its own
            self.bus.breaker(hook).learn(self.now, failed, is_shortened=heard.is_shortened)
            if hook.cache_ttl_ms and hook.phase == "validate" and heard.said is not None:
                self.bus.keep(self.cache_key(hook), heard.said, self.now + hook.cache_ttl_ms * MS)
        if turn.round > 1 and turn.changes:
            turn.notes.append({"kind": "reinvoked_changed"})
        self.tally.enter(turn)


def canonical(value: Any) -> str:
    """One text for equal values."""
    return json.dumps(value, sort_keys=True)
