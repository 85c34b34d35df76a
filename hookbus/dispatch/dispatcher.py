"""The way of one event: match, plan, mutate, validate unless blocked, combine, record, observe.

Nothing here knows the broker, FastStream or OpenTelemetry: plugins are asked through a Runtime,
decisions leave through a Recorder, and an Observer sees what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from hookbus import patches
from hookbus.dispatch.aggregate import Asked, Ledger, Objection, combine
from hookbus.dispatch.deadline import Allowance, allow, budget_of, whole_milliseconds
from hookbus.dispatch.ordering import Plan, Planner
from hookbus.dispatch.payload import Change, Payload, change
from hookbus.errors import BadPatch, InvalidEvent
from hookbus.models import Decision
from hookbus.runtimes.base import Question, Reply, Runtime
from hookbus.snapshot import Binding, Snapshot
from hookbus.telemetry import Observer
from hookbus.wire.call import CallTail, trace_member
from hookbus.wire.event import Inbound, trace_of
from hookbus.wire.verdict import Answer, failure


class Recorder(Protocol):
    """Where decisions and observed events go, handed over before the reply (R28)."""

    async def record(self, decision: Decision) -> None:
        """Hand one decision to the connection."""

    async def observe(self, inbound: Inbound, event: bytes, decision: Decision) -> None:
        """Hand the final event and its decision to the connection."""


@dataclass(frozen=True, slots=True)
class Task:
    """One event to decide. *ends* is when its budget ends, on the dispatcher's clock."""

    inbound: Inbound
    snapshot: Snapshot
    received: float
    ends: float


@dataclass(frozen=True, slots=True)
class Tools:
    """What dispatching needs of the world."""

    runtime: Runtime
    recorder: Recorder
    observer: Observer
    clock: Callable[[], float]
    new_id: Callable[[], str]


def task_of(inbound: Inbound, snapshot: Snapshot, received: float, timeout: float) -> Task:
    """Give an event its budget: its timeout less the return margin (R6)."""
    return Task(inbound, snapshot, received, received + budget_of(timeout))


class Dispatcher:
    """Decides events, many at a time, each under exactly one generation (R16)."""

    def __init__(self, tools: Tools) -> None:
        self._runtime = tools.runtime
        self._recorder = tools.recorder
        self._observer = tools.observer
        self._clock = tools.clock
        self._new_id = tools.new_id
        self._planner = Planner()

    async def dispatch(self, task: Task) -> Decision:
        """Decide one event. Never raises for what a plugin does."""
        self._observer.on_start(task.inbound)
        plan = self._planner.plan_for(task.snapshot, task.inbound.event.type)
        original = Payload(task.inbound.event.data, task.inbound.body)
        ledger = Ledger()

        payload = await self._mutate(task, plan, original, ledger)
        changed = self._checked(task, original, payload, ledger)
        if plan.validate and not ledger.objections:
            await self._validate(task, plan, payload, ledger)
        decision = combine(task.inbound, task.snapshot.generation, self._new_id(), ledger, changed)
        await self._hand_over(task, plan, payload, decision)
        return decision

    async def hand_over(self, inbound: Inbound, decision: Decision, received: float) -> Decision:
        """Record a decision that was made without asking anybody."""
        await self._recorder.record(decision)
        self._observer.on_decision(inbound, decision, self._clock() - received)
        return decision

    async def _mutate(self, task: Task, plan: Plan, payload: Payload, ledger: Ledger) -> Payload:
        """Ask one after another, each on the last one's result, until a Block (R2, R3)."""
        for index, binding in enumerate(plan.mutate):
            remaining = task.ends - self._clock()
            allowance = allow(
                remaining,
                binding.timeout,
                binding.min_time,
                plan.reserves[index],
                plan.stages_left(index),
            )
            [asked] = await self._ask(task, [(binding, allowance)], payload)
            asked, done = _apply(asked, payload, task.snapshot)
            ledger.enter(asked, done)
            if ledger.objections:
                break
            if done is not None:
                payload = done.payload
        return payload

    def _checked(self, task: Task, original: Payload, payload: Payload, ledger: Ledger) -> Any:
        """Return the data to use if it changed; a result that breaks its schema is a Block."""
        if payload is original or patches.equal(original.data, payload.data):
            return msgspec.UNSET
        try:
            task.snapshot.catalog.get(task.inbound.event.type).check(payload.data)
        except InvalidEvent as e:
            culprit = next(r.plugin for r in reversed(ledger.records) if r.mutated)
            reason = f"schema: its change leaves {e.pointer}: {e.message}"
            ledger.objections.append(Objection(culprit, "failure", "schema", reason))
        return payload.data

    async def _validate(self, task: Task, plan: Plan, payload: Payload, ledger: Ledger) -> None:
        """Ask all at once on the final payload and hear them all (R4)."""
        remaining = task.ends - self._clock()
        wanted = [
            (b, allow(remaining, b.timeout, b.min_time, reserve=0.0, stages=1))
            for b in plan.validate
        ]
        for asked in await self._ask(task, wanted, payload):
            ledger.enter(_unchanging(asked))

    async def _ask(
        self, task: Task, wanted: Sequence[tuple[Binding, Allowance]], payload: Payload
    ) -> list[Asked]:
        """Ask one stage. Without budget nobody is asked, and that is a timeout (R7)."""
        if wanted[0][1].timeout <= 0:
            return [Asked(b, _NOT_ASKED, allowance, attempt=0) for b, allowance in wanted]
        traceparent = task.inbound.event.traceparent
        is_sampled = trace_of(traceparent)[1]
        tail = CallTail(
            task.snapshot.generation,
            trace_member(traceparent) if is_sampled else b"",
            payload.event,
        )
        questions = [
            Question(b, allowance.timeout, whole_milliseconds(allowance.timeout))
            for b, allowance in wanted
        ]
        replies = await self._runtime.ask(questions, tail)
        return [_asked(w, reply) for w, reply in zip(wanted, replies, strict=True)]

    async def _hand_over(
        self, task: Task, plan: Plan, payload: Payload, decision: Decision
    ) -> None:
        """R28: record and observed event reach the connection in the tick of the reply."""
        await self._recorder.record(decision)
        is_observed = plan.is_observed or task.snapshot.limits.observe
        if is_observed and not decision.dry_run:
            await self._recorder.observe(task.inbound, payload.event, decision)
        self._observer.on_decision(task.inbound, decision, self._clock() - task.received)


_NOT_ASKED = failure("timeout", "not asked: the event's time was over")


def _asked(wanted: tuple[Binding, Allowance], reply: Reply) -> Asked:
    binding, allowance = wanted
    return Asked(binding, reply.answer, allowance, ms=reply.ms, attempt=reply.attempt)


def _apply(asked: Asked, payload: Payload, snapshot: Snapshot) -> tuple[Asked, Change | None]:
    """Apply an Intercept; one that cannot be applied is a failure of its plugin (R8)."""
    if asked.answer.change is None:
        return asked, None
    try:
        return asked, change(payload, *asked.answer.change, snapshot.limits)
    except BadPatch as e:
        return _failed(asked, failure("bad_patch", str(e))), None


def _unchanging(asked: Asked) -> Asked:
    """A validating plugin may look and refuse, not change."""
    if asked.answer.change is None:
        return asked
    return _failed(asked, failure("phase_violation", "a validate hook may not intercept"))


def _failed(asked: Asked, answer: Answer) -> Asked:
    return Asked(asked.binding, answer, asked.allowance, ms=asked.ms, attempt=asked.attempt)
