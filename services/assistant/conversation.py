"""From a question to an answer, whichever way it came."""

import logging
import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, StringConstraints

from hookbus import Emitter, HookBlocked, InvalidEvent, MessageReceived, ResponseGenerated
from services.assistant.rules import phrase, plan
from services.assistant.tools import ToolFailed, Tools
from services.assistant.turn import Turn

ON_UNAVAILABLE: Final = "block"  # no decision can be had: "continue" would answer unguarded

log = logging.getLogger("assistant")


class Question(BaseModel, extra="forbid"):
    """What somebody asks."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    user: Annotated[str, StringConstraints(max_length=100)] | None = None


class Answer(BaseModel):
    """What they get: *text* may be shown, and with *reference* an operator finds out more."""

    id: str
    status: Literal["answered", "blocked", "undecided", "refused"] = "answered"
    text: str
    reference: str | None = None
    degraded: bool = False
    trace_id: str | None = None


class Conversation:
    """Answers questions, many at once."""

    def __init__(self) -> None:
        self.bus = Emitter.connect(source="/assistant", on_unavailable=ON_UNAVAILABLE)
        folder = os.environ.get("ASSISTANT_FOLDER") or Path(__file__).parent / "desk"
        self._tools = Tools(Path(folder))

    async def answer(self, question: Question, request: str, traceparent: str | None) -> Answer:
        """Answer one question, whatever the bus says to it; the arguments are those of `Turn`."""
        turn = Turn(self.bus, request, traceparent)
        answer = Answer(id=request, text="", trace_id=turn.traceparent[3:35])
        try:
            answer.text = await self._text(question, turn)
        except HookBlocked as e:  # its reason is for operators, its message for everybody
            answer.status = "blocked" if e.cause == "verdict" else "undecided"
            answer.text, answer.reference = e.message or "This cannot be answered now.", e.id
        except InvalidEvent as e:
            answer.status, answer.text = "refused", f"This is not accepted: {e.pointer}"
        answer.degraded = turn.is_degraded  # a guard failed, and its operator lets that pass
        if answer.status != "answered" or answer.degraded:
            log.warning("answer %s", answer.model_dump_json(exclude={"text"}))
        return answer

    async def _text(self, question: Question, turn: Turn) -> str:
        message = await turn.ask(MessageReceived(**question.model_dump(exclude_none=True)))
        results = []
        for wanted in plan(message.text):
            call = await turn.ask(wanted)
            try:
                results.append(await self._tools.run(call.name, call.args))
            except ToolFailed as e:
                results.append(str(e))
        response = await turn.ask(ResponseGenerated(text=phrase(message.text, results)))
        return response.text
