"""Decisions and observed events, handed to the connection before the reply (R28, best effort)."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hookbus import subjects
from hookbus.dispatch.task import Task
from hookbus.errors import TransportError
from hookbus.models import Decision, PluginRecord
from hookbus.telemetry import Counters
from hookbus.transport import Transport
from hookbus.wire.call import encode_observed
from hookbus.wire.event import Inbound


class Recorder(Protocol):
    """Where decisions, observed events and shadow records go."""

    async def record(self, decision: Decision, record: bytes) -> None:
        """Hand one decision to the connection; *record* is how it is encoded for the stream."""

    async def observe(self, inbound: Inbound, event: bytes, record: bytes) -> None:
        """Hand the final event and its decision to the connection."""

    async def shadow(self, task: Task, record: PluginRecord) -> None:
        """Hand one shadow plugin's record to the connection."""


class StreamRecorder:
    """Publishes to the subjects that the streams capture, without waiting for acknowledgements."""

    def __init__(self, transport: Transport, counters: Counters) -> None:
        self._transport = transport
        self._counters = counters

    async def record(self, decision: Decision, record: bytes) -> None:
        """Publish on ``hookbus.decision.<outcome>.<type>``; what is lost is counted."""
        await self._publish(subjects.decision(decision.outcome, decision.event.type), record)

    async def observe(self, inbound: Inbound, event: bytes, record: bytes) -> None:
        """Publish on ``hookbus.observe.<type>``."""
        body = encode_observed(inbound.principal, event, record)
        await self._publish(subjects.observe(inbound.event.type), body)

    async def shadow(self, task: Task, record: PluginRecord) -> None:
        """Publish on ``hookbus.decision.shadow.<type>``."""
        event = task.inbound.event
        body = {
            "v": 1,
            "decision": task.decision_id,
            "event": {"id": event.id, "source": event.source, "type": event.type},
            "record": record,
        }
        await self._publish(subjects.decision("shadow", event.type), msgspec.json.encode(body))

    async def _publish(self, subject: str, body: bytes) -> None:
        try:
            await self._transport.publish(subject, body)
        except TransportError:
            self._counters.count("unrecorded")
