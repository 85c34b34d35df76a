"""Decisions and observed events, handed to the connection before the reply (R28, best effort)."""

from __future__ import annotations

from hookbus import subjects
from hookbus.errors import TransportError
from hookbus.models import Decision
from hookbus.telemetry import Counters
from hookbus.transport import Transport
from hookbus.wire.call import encode_observed
from hookbus.wire.decision import encode_record
from hookbus.wire.event import Inbound


class StreamRecorder:
    """Publishes to the subjects that the streams capture, without waiting for acknowledgements."""

    def __init__(self, transport: Transport, counters: Counters) -> None:
        self._transport = transport
        self._counters = counters

    async def record(self, decision: Decision) -> None:
        """Publish one record on ``hookbus.decision.<outcome>.<type>``; what is lost is counted."""
        subject = subjects.decision(decision.outcome, decision.event.type)
        await self._publish(subject, encode_record(decision))

    async def observe(self, inbound: Inbound, event: bytes, decision: Decision) -> None:
        """Publish the final event and its decision on ``hookbus.observe.<type>``."""
        body = encode_observed(inbound.principal, event, encode_record(decision))
        await self._publish(subjects.observe(decision.event.type), body)

    async def _publish(self, subject: str, body: bytes) -> None:
        try:
            await self._transport.publish(subject, body)
        except TransportError:
            self._counters.count("unrecorded")
