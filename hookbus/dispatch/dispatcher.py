"""The way of one event: match, plan, mutate, validate unless blocked, combine, record, observe.

Nothing here knows the broker, FastStream or OpenTelemetry: plugins are asked through Asking,
decisions leave through a Recorder, and an Observer sees what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from hookbus import patches
from hookbus.dispatch.aggregate import Asked, Ledger, Objection, combine
from hookbus.dispatch.asking import Asking
from hookbus.dispatch.chain import too_deep
from hookbus.dispatch.conflict import Writes
from hookbus.dispatch.deadline import Allowance, allow
from hookbus.dispatch.masking import masked, secrets_in
from hookbus.dispatch.ordering import Plan, Planner
from hookbus.dispatch.payload import Payload
from hookbus.dispatch.recorder import Recorder
from hookbus.dispatch.rounds import Rounds
from hookbus.dispatch.shadow import Shadows
from hookbus.dispatch.task import Task
from hookbus.errors import InvalidEvent
from hookbus.models import Decision
from hookbus.snapshot import Binding
from hookbus.telemetry import Observer
from hookbus.wire.decision import encode_decision, encode_record
from hookbus.wire.event import Inbound


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A decision and how it was recorded: without its data, and without secrets."""

    decision: Decision
    record: bytes

    def reply(self) -> bytes:
        """What the emitter gets; mostly the same bytes."""
        if self.decision.data is msgspec.UNSET and not self.decision.masked:
            return self.record
        return encode_decision(self.decision)


@dataclass(frozen=True, slots=True)
class Tools:
    """What dispatching needs of the world."""

    asking: Asking
    shadows: Shadows
    recorder: Recorder
    observer: Observer
    clock: Callable[[], float]


class Dispatcher:
    """Decides events, many at a time, each under exactly one generation (R16)."""

    def __init__(self, tools: Tools) -> None:
        self._asking = tools.asking
        self._shadows = tools.shadows
        self._recorder = tools.recorder
        self._observer = tools.observer
        self._clock = tools.clock
        self._planner = Planner()

    async def dispatch(self, task: Task) -> Decided:
        """Decide one event. Never raises for what a plugin does."""
        self._observer.on_start(task.inbound)
        plan = self._planner.plan_for(task.snapshot, task.inbound.event.type)
        payload = original = Payload(task.inbound.event.data, task.inbound.body)
        ledger = Ledger(objections=_limits(task, plan))

        if plan.mutate and not ledger.objections:
            payload = await self._mutate(task, plan, payload, ledger)
        data = _checked(task, original, payload, ledger)
        if not ledger.objections:
            await self._validate(task, plan, payload, ledger)
        generation = task.snapshot.generation
        decision = combine(task.inbound, generation, task.decision_id, ledger, data)
        decided = _without_secrets(task, decision, [original, *ledger.payloads])
        await self._hand_over(task, plan, payload, decided)
        return decided

    async def hand_over(self, inbound: Inbound, decision: Decision, received: float) -> Decided:
        """Record a decision that was made without asking anybody."""
        decided = Decided(decision, encode_record(decision))
        await self._recorder.record(decision, decided.record)
        self._observer.on_decision(inbound, decision, self._clock() - received)
        return decided

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
            if ledger.objections:
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

    async def _hand_over(self, task: Task, plan: Plan, payload: Payload, decided: Decided) -> None:
        """R28: record and observed event reach the connection in the tick of the reply."""
        decision = decided.decision
        await self._recorder.record(decision, decided.record)
        is_observed = plan.is_observed or task.snapshot.limits.observe
        if is_observed and not decision.dry_run:  # R27
            await self._recorder.observe(task.inbound, payload.event, decided.record)
        self._observer.on_decision(task.inbound, decision, self._clock() - task.received)


def _limits(task: Task, plan: Plan) -> list[Objection]:
    """What forbids to ask anybody: too many plugins, or a loop."""
    limits = task.snapshot.limits
    if plan.size > limits.max_plugins:
        reason = f"too_many_plugins: {plan.size} hooks match, at most {limits.max_plugins}"
        return [Objection(None, "limit", "too_many_plugins", reason)]
    loop = too_deep(task.inbound, limits.max_depth)
    return [loop] if loop else []


def _checked(task: Task, original: Payload, payload: Payload, ledger: Ledger) -> Any:
    """Return the data to use if it changed; a result that breaks its schema is a Block (R1)."""
    if payload is original or patches.equal(original.data, payload.data):
        return msgspec.UNSET
    if ledger.objections:
        return msgspec.UNSET
    try:
        task.snapshot.catalog.get(task.inbound.event.type).check(payload.data)
    except InvalidEvent as e:
        ledger.broke_schema(e.pointer.removeprefix("/data"), e.message)
    return payload.data


def _reinvoked(asked: Asked) -> Asked:
    """A later round that changed something again is worth a note (E15)."""
    if asked.round == 1 or asked.change is None or not asked.change.pointers:
        return asked
    if asked.binding.mode == "warn":  # R15: nothing was changed
        return asked
    return asked.noted({"kind": "reinvoked_changed"})


def _without_secrets(task: Task, decision: Decision, payloads: list[Payload]) -> Decided:
    """Name the secret fields, and keep their values out of the record (R28)."""
    paths = task.snapshot.catalog.get(task.inbound.event.type).secrets
    if not paths:
        return Decided(decision, encode_record(decision))
    found = [found for payload in payloads for found in secrets_in(payload.data, paths)]
    pointers = dict.fromkeys(pointer for pointer, _ in found)
    decision = msgspec.structs.replace(decision, masked=tuple(pointers))
    return Decided(decision, encode_record(masked(decision, [value for _, value in found])))
