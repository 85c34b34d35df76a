"""One turn of a conversation: its events belong to one request and one trace."""

import os
import re
from hashlib import sha256
from typing import Final, TypeVar

from hookbus import Emitter, Payload

P = TypeVar("P", bound=Payload)

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Turn:
    """Asks the bus before each step."""

    def __init__(self, bus: Emitter, request: str, traceparent: str | None) -> None:
        """*request* is the same for a retry, *traceparent* W3C's; without one a trace begins."""
        if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
            traceparent = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"
        self._bus = bus
        self._steps = 0
        self.request = request
        self.traceparent = traceparent
        self.is_degraded = False

    async def ask(self, payload: P) -> P:
        """Return what to use from here on; raises HookBlocked or InvalidEvent."""
        self._steps += 1
        # A retry's step is the same event and gets the same decision; with other data it is another
        # one, so two clients that use one key by chance learn nothing of each other.
        step = f"{self.request} {self._steps} {payload.event_type} {payload.model_dump_json()}"
        event_id, trace = sha256(step.encode()).hexdigest(), self.traceparent
        decision = await self._bus.emit(payload.event_type, payload, id=event_id, traceparent=trace)
        self.is_degraded |= decision.degraded
        decision.raise_for_block()
        return type(payload).model_validate(decision.data)
