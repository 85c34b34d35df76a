"""From a question to an answer, whichever way it came: the bus is asked before each step."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, StringConstraints

from hookbus import Emitter, HookBlocked, InvalidEvent, MessageReceived, Payload, ResponseGenerated
from services.assistant.rules import phrase, plan
from services.assistant.tools import Tools

ON_UNAVAILABLE: Final = "block"  # no decision can be had: "continue" would answer unguarded

P = TypeVar("P", bound=Payload)


class Question(BaseModel, extra="forbid"):
    """What somebody asks."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    user: Annotated[str, StringConstraints(max_length=100)] | None = None


class Answer(BaseModel):
    """What they get: *text* may be shown, and with *reference* an operator finds out more."""

    id: str
    status: Literal["answered", "blocked", "undecided", "refused"] = "answered"
    text: str = ""
    reference: str | None = None
    degraded: bool = False  # a guard failed, and its operator lets that pass
    trace_id: str | None = None


class Conversation:
    """Answers questions, many at once, over one connection to the bus."""

    def __init__(self) -> None:
        self.bus = Emitter.connect(source="/assistant", on_unavailable=ON_UNAVAILABLE)
        self._tools = Tools(os.environ.get("ASSISTANT_FOLDER") or f"{Path(__file__).parent}/desk")

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """Hold the connection until the last question is answered."""
        async with self.bus:
            yield

    async def answer(self, question: Question, request: str, trace: str | None) -> Answer:
        """Answer; *request* is the same for a retry, *trace* a W3C traceparent if there is one."""
        answer = Answer(id=request)
        trace = trace or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"
        try:
            answer.text = await self._text(question, answer, trace)
        except HookBlocked as e:  # its reason is for operators, its message for everybody
            answer.status = "blocked" if e.cause == "verdict" else "undecided"
            answer.text, answer.reference = e.message or "This cannot be answered now.", e.id
        except InvalidEvent as e:
            answer.status, answer.text = "refused", f"This is not accepted: {e.pointer}"
        if answer.status != "answered" or answer.degraded:
            logging.getLogger(__name__).warning("%s", answer.model_dump_json(exclude={"text"}))
        return answer

    async def _text(self, question: Question, answer: Answer, trace: str) -> str:
        message = await self._ask(MessageReceived(**question.model_dump()), answer, trace)
        results = []
        for call in plan(message.text):
            call = await self._ask(call, answer, trace)
            results.append(await self._tools.run(call.name, call.args))
        response = ResponseGenerated(text=phrase(message.text, results))
        return (await self._ask(response, answer, trace)).text

    async def _ask(self, payload: P, answer: Answer, trace: str) -> P:
        """Ask the bus, and return what to use from here on."""
        # A retry's step is the same event and gets the same decision; with other data it is another
        # one, so two clients that use one key by chance learn nothing of each other.
        step = f"{answer.id} {payload.event_type} {payload.model_dump_json()}"
        event_id = sha256(step.encode()).hexdigest()
        decision = await self.bus.emit(payload.event_type, payload, id=event_id, traceparent=trace)
        answer.trace_id = decision.trace_id
        answer.degraded |= decision.degraded
        decision.raise_for_block()
        return type(payload).model_validate(decision.data)
