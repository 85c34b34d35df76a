"""FastStream: a middleware that asks the bus about every message before its handler gets it.

faststream run faststream_middleware:app
"""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from faststream import BaseMiddleware, ContextRepo, FastStream, StreamMessage
from faststream.exceptions import NackMessage, RejectMessage
from faststream.nats import JStream, NatsBroker

from hookbus import Emitter, InvalidEvent, MessageReceived, Unavailable


class AskBus(BaseMiddleware[Any, Any]):
    """Blocked: rejected for good. Nobody could decide: it comes again. Rewritten: so handled."""

    async def consume_scope(
        self, call_next: Callable[..., Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        """Ask; a delivery that comes again is the same event, by its number in the stream."""
        bus: Emitter = self.context.get("bus")
        place = msg.raw_message.metadata
        event_id = f"{place.stream}-{place.sequence.stream}"
        try:
            decision = await bus.emit("message_received", json.loads(msg.body), id=event_id)
        except Unavailable as e:
            raise NackMessage(delay=1.0) from e
        except (InvalidEvent, ValueError) as e:
            raise RejectMessage from e
        if decision.is_blocked:  # any other cause than a verdict may be over in a moment
            raise RejectMessage if decision.cause == "verdict" else NackMessage(delay=1.0)
        if decision.outcome == "intercept":
            msg.body = json.dumps(decision.data).encode()
            msg.clear_cache()
        return await call_next(msg)


@asynccontextmanager
async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
    """Hold one connection to the bus; without a broker it does not start."""
    async with Emitter.connect(source="/letters") as bus:
        context.set_global("bus", bus)
        yield


broker = NatsBroker(os.environ.get("LETTERS_URL", "nats://127.0.0.1:4222"), middlewares=[AskBus])
app = FastStream(broker, lifespan=lifespan)


@broker.subscriber("letters", stream=JStream("LETTERS"), durable="letters", pull_sub=True)
@broker.publisher("kept")
async def keep(letter: MessageReceived) -> str:
    """Keep a letter."""
    return letter.text
