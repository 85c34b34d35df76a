"""The way of one event: match, plan, mutate, validate unless blocked, combine, record, observe.

Nothing here knows the broker, FastStream or OpenTelemetry: plugins are asked through Asking,
decisions leave through a Recorder, and an Observer sees what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from hookbus import patches
from hookbus.dispatch.aggregate import Asked, Ledger, Objection, combine
from hookbus.dispatch.asking import Asking
from hookbus.dispatch.chain import too_deep
from hookbus.dispatch.conflict import Writes
from hookbus.dispatch.deadline import allow
from hookbus.dispatch.decided import Decided, decided
from hookbus.dispatch.ordering import Plan, Planner
from hookbus.dispatch.payload import Payload
from hookbus.dispatch.recorder import Recorder
from hookbus.dispatch.rounds import Rounds
from hookbus.dispatch.shadow import Shadows
from hookbus.dispatch.task import Task
from hookbus.errors import InvalidEvent
from hookbus.models import Decision
from hookbus.runtimes.base import Allowance
from hookbus.snapshot import Binding
from hookbus.telemetry import Observer
from hookbus.wire.event import Inbound


@dataclass(frozen=True, slots=True)
class Tools:
    """What dispatching needs of the world.

    Attributes:
        max_bytes: the largest message the broker takes; another broker may take less.
    """

    asking: Asking
    shadows: Shadows
    recorder: Recorder
    observer: Observer
    clock: Callable[[], float]
    max_bytes: Callable[[], int]


class Dispatcher:
    """Decides events, many at a time, each under exactly one generation (R16)."""

    def __init__(self, tools: Tools) -> None:
        self._asking = tools.asking
        self._shadows = tools.shadows
        self._recorder = tools.recorder
        self._observer = tools.observer
        self._clock = tools.clock
        self._max_bytes = tools.max_bytes
        self._planner = Planner()

    async def dispatch(self, task: Task) -> Decided:
        """Decide one event. Never raises for what a plugin does."""
        plan = self._planner.plan_for(task.snapshot, task.inbound.event.type)
        payload = original = Payload(task.inbound.event.data, task.inbound.body)
        ledger = Ledger(objections=_limits(task, plan))

        if plan.mutate and not ledger.objections:
            payload = await self._mutate(task, plan, payload, ledger)
        changed = _checked(task, original, payload, ledger)
        if not ledger.objections:
            await self._validate(task, plan, payload, ledger)
        made = self._combined(task, original, ledger, changed)
        return await self._hand_over(task, plan, payload, made, ledger.asked_ms)

    async def hand_over(
        self, inbound: Inbound, decision: Decision, received: float, stored_by: float | None
    ) -> Decided:
        """Record a decision that was made without asking anybody."""
        made = await self._recorded(decided(decision), inbound, stored_by)
        self._observer.on_decision(inbound, made.decision, self._clock() - received)
        return made

    async def _mutate(self, task: Task, plan: Plan, payload: Payload, ledger: Ledger) -> Payload:
        """Ask one after another, each on the last one's result, until a Block (R2, R3).

        Rounds after the first ask again who wanted to see what others changed since (R11).
        """
        settings = task.snapshot.catalog.get(task.inbound.event.type).settings
        rounds = Rounds(plan.mutate, settings.max_rounds)
        writes, number = Writes(), 1
        for index, binding in rounds.turns():
            if binding.mode == "shadow":
                self._shadows.ask(task, binding, payload)
                continue
            if number != rounds.number:
                writes, number = Writes(), rounds.number
            allowance = self._allow(task, plan, index, binding, number)
            [asked] = await self._asking.ask(task, [(binding, allowance)], payload, number)
            ledger.enter(_reinvoked(asked))
            if ledger.is_over:
                return payload
            if asked.attempt == 0 and not asked.is_cached:
                rounds.not_asked(index)
                continue
            rounds.asked(index)
            done = asked.change
            if done is None or not done.pointers:
                continue
            ledger.payloads.append(done.payload)
            if binding.mode == "warn":
                continue
            payload = done.payload
            rounds.changed(index)
            conflicts = writes.add(binding, done.pointers, payload.data)
            ledger.conflict(conflicts, is_blocking=settings.conflict == "block")
            if ledger.objections:
                return payload
        ledger.unsettled(rounds.unsettled(), is_blocking=settings.on_not_converged == "block")
        return payload

    async def _validate(self, task: Task, plan: Plan, payload: Payload, ledger: Ledger) -> None:
        """Ask all at once on the final payload and hear them all (R4)."""
        for binding in plan.shadow_validate:
            self._shadows.ask(task, binding, payload)
        if not plan.validate:
            return
        remaining = task.ends - self._clock()
        wanted = [
            (b, allow(remaining, b.timeout, b.min_time, reserve=0.0, stages=1))
            for b in plan.validate
        ]
        for asked in await self._asking.ask(task, wanted, payload):
            ledger.enter(asked)

    def _allow(
        self, task: Task, plan: Plan, index: int, binding: Binding, number: int
    ) -> Allowance:
        """R6: what is foreseen behind this turn; in later rounds that is the validate phase."""
        if number == 1:
            reserve, stages = plan.reserves[index], plan.stages[index]
        else:
            reserve, stages = plan.last_reserve, 1 + bool(plan.validate)
        remaining = task.ends - self._clock()
        return allow(remaining, binding.timeout, binding.min_time, reserve, stages)

    def _combined(
        self, task: Task, original: Payload, ledger: Ledger, changed: Payload | None
    ) -> Decided:
        """Make the decision; one that no message could hold is a Block without details."""
        made = _decided(task, original, ledger, changed)
        most = self._max_bytes()
        if made.size <= most:
            return made
        ledger.leave_details_out(made.size, most)
        return _decided(task, original, ledger, None)

    async def _hand_over(
        self, task: Task, plan: Plan, payload: Payload, made: Decided, asked_ms: Sequence[float]
    ) -> Decided:
        """R28: record and observed event reach the connection in the tick of the reply."""
        made = await self._recorded(made, task.inbound, task.stored_by)
        self._recorder.input(task, made)
        is_observed = plan.is_observed or task.snapshot.limits.observe
        if is_observed and not made.decision.dry_run:  # R27
            self._recorder.observe(task.inbound, payload.event, made)
        seconds = self._clock() - task.received
        self._observer.on_decision(task.inbound, made.decision, seconds, asked_ms)
        return made

    async def _recorded(self, made: Decided, inbound: Inbound, stored_by: float | None) -> Decided:
        if stored_by is not None:
            return await self._recorder.store(made, stored_by, inbound.trace)
        self._recorder.record(made)
        return made


def _limits(task: Task, plan: Plan) -> list[Objection]:
    """What forbids to ask anybody: too many plugins, or a loop."""
    limits = task.snapshot.limits
    if plan.size > limits.max_plugins:
        reason = f"too_many_plugins: {plan.size} hooks match, at most {limits.max_plugins}"
        return [Objection(None, "limit", "too_many_plugins", reason)]
    loop = too_deep(task.inbound, limits.max_depth)
    return [loop] if loop else []


def _checked(task: Task, original: Payload, payload: Payload, ledger: Ledger) -> Payload | None:
    """Return the payload to use if it changed; one that breaks its schema is a Block (R1)."""
    if payload is original or patches.equal(original.data, payload.data):
        return None
    if ledger.objections:
        return None
    try:
        task.snapshot.catalog.get(task.inbound.event.type).check(payload.data)
    except InvalidEvent as e:
        ledger.broke_schema(e.pointer.removeprefix("/data"), e.message)
    return payload


def _decided(task: Task, original: Payload, ledger: Ledger, changed: Payload | None) -> Decided:
    generation = task.snapshot.generation
    data, encoded = msgspec.UNSET, None
    if changed is not None:
        data, encoded = changed.data, changed.encoded
    decision = combine(task.inbound, generation, task.decision_id, ledger, data)
    secrets = task.snapshot.catalog.get(task.inbound.event.type).secrets
    payloads = [original, *ledger.payloads]
    return decided(decision, secrets, payloads, is_naming=not ledger.is_brief, encoded=encoded)


def _reinvoked(asked: Asked) -> Asked:
    """A later round that changed something again is worth a note (E15)."""
    if asked.round == 1 or asked.change is None or not asked.change.pointers:
        return asked
    if asked.binding.mode == "warn":  # R15: nothing was changed
        return asked
    return asked.noted({"kind": "reinvoked_changed"})
