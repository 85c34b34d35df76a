"""Decisions, shadow records and observed events, on their way to the streams (R27, R28)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from hookbus import subjects
from hookbus.dispatch.decided import Decided, not_recorded
from hookbus.dispatch.inputs import input_of
from hookbus.dispatch.outbox import Outbox
from hookbus.dispatch.task import Task
from hookbus.measures import Counters
from hookbus.models import PluginRecord
from hookbus.transport import Transport
from hookbus.wire.call import encode_observed
from hookbus.wire.event import Inbound
from hookbus.wire.trace import Trace


class Recorder(Protocol):
    """Where decisions, observed events and shadow records go; none of it is ever raised."""

    def record(self, made: Decided) -> None:
        """Hand one decision to the connection."""

    async def store(self, made: Decided, until: float, trace: Trace | None) -> Decided:
        """Do so, and return what the emitter is to be told (``audit = "required"``).

        That is a Block unless the stream has acknowledged the record until a time of the
        dispatcher's clock. *trace* is the event's.
        """

    def observe(self, inbound: Inbound, event: bytes, made: Decided) -> None:
        """Hand the final event and its decision to the connection."""

    def input(self, task: Task, made: Decided) -> None:
        """Hand the event as its emitter sent it to the connection, if its type says so."""

    def shadow(self, task: Task, record: PluginRecord) -> None:
        """Hand one shadow plugin's record to the connection."""


class StreamRecorder:
    """One outbox for each stream that a dispatcher writes to.

    A message's id, by which its stream knows it when it comes again, is the decision's.
    """

    def __init__(self, transport: Transport, counters: Counters, new_id: Callable[[], str]) -> None:
        self._counters = counters
        self._new_id = new_id
        self._decisions = Outbox(transport, subjects.DECISIONS_STREAM, counters)
        self._observed = Outbox(transport, subjects.OBSERVE_STREAM, counters)
        self._inputs = Outbox(transport, subjects.INPUTS_STREAM, counters)
        self._outboxes = {
            subjects.DECISIONS_STREAM: self._decisions,
            subjects.OBSERVE_STREAM: self._observed,
            subjects.INPUTS_STREAM: self._inputs,
        }

    async def start(self) -> None:
        """Listen for acknowledgements."""
        for outbox in self._outboxes.values():
            await outbox.start()

    async def stop(self) -> None:
        """Wait for the last acknowledgements, a while."""
        await asyncio.gather(*(outbox.stop() for outbox in self._outboxes.values()))

    def state(self) -> Mapping[str, Any]:
        """How recording stands, by stream; see :meth:`Outbox.state`."""
        return {stream: outbox.state() for stream, outbox in self._outboxes.items()}

    def record(self, made: Decided) -> None:
        """Publish on ``hookbus.decision.<outcome>.<type>``."""
        decision = made.decision
        subject = subjects.decision(decision.outcome, decision.event.type)
        self._decisions.send(subject, decision.id, made.record)

    async def store(self, made: Decided, until: float, trace: Trace | None) -> Decided:
        """Publish there and wait; what is not stored in time is a Block, which is recorded too."""
        decision = made.decision
        subject = subjects.decision(decision.outcome, decision.event.type)
        problem = await self._decisions.store(subject, decision.id, made.record, until)
        if problem is None:
            return made
        self._counters.count("audit_blocks")
        block = not_recorded(made, self._new_id(), problem, trace)
        self.record(block)
        return block

    def observe(self, inbound: Inbound, event: bytes, made: Decided) -> None:
        """Publish on ``hookbus.observe.<type>``."""
        body = encode_observed(inbound.principal, event, made.record, inbound.trace)
        self._observed.send(subjects.observe(inbound.event.type), made.decision.id, body)

    def input(self, task: Task, made: Decided) -> None:
        """Publish on ``hookbus.input.<type>`` what ``record_payload`` allows, if anything."""
        decision = made.decision
        body = input_of(task, decision.id)
        if body is not None:
            self._inputs.send(subjects.recorded_input(decision.event.type), decision.id, body)

    def shadow(self, task: Task, record: PluginRecord) -> None:
        """Publish on ``hookbus.decision.shadow.<type>``."""
        event = task.inbound.event
        body = {
            "v": 1,
            "decision": task.decision_id,
            "event": {"id": event.id, "source": event.source, "type": event.type},
            "record": record,
        }
        self._decisions.send(
            subjects.decision("shadow", event.type),
            f"{task.decision_id}.{record.plugin}.{record.hook}.{record.round}",
            msgspec.json.encode(body),
        )
