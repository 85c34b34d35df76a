"""What an emit is answered: decisions, refusals, and bytes that are neither."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.emitters.stage import Answer, Request
from hookbus.models import Decision, EventRef
from hookbus.wire.decision import ErrorBody, encode_refusal

#: Seconds after which an answer that nobody waits for comes: an emitter's own clock may lag.
LATE: Final = 0.5
#: The part of its time in which an emitter must still be waiting.
SLOW: Final = 0.7
BUS_TIMEOUT_MS: Final = 1_000  # an event's time if it names none

_encode = msgspec.json.Encoder().encode


def decide(outcome: str, **members: Any) -> Answer:
    """Answer with a decision, with *members* over the usual ones."""

    async def answer(request: Request) -> None:
        await request.reply(decision(request, outcome, **members))

    return answer


def decision(request: Request, outcome: str, **members: Any) -> bytes:
    """A decision about the event as a dispatcher encodes it; UNSET takes a member away."""
    principal, event_type = subjects.principal_and_type(request.message.subject)
    usual = Decision(
        id="01a1fd71-7b33-7396-93f9-d23d9cb24b25",
        event=EventRef(request.event_id, "/hookbus/conformance", event_type),
        outcome="continue",
        principal=principal,
    )
    said = {**msgspec.to_builtins(usual), "outcome": outcome, **members}
    return _encode({name: value for name, value in said.items() if value is not msgspec.UNSET})


def refuse(code: str, message: str, pointer: str = "") -> Answer:
    """Answer that nothing was decided."""
    body, headers = encode_refusal(ErrorBody(code, message, pointer))

    async def answer(request: Request) -> None:
        await request.reply(body, headers)

    return answer


def send(body: bytes) -> Answer:
    """Answer with any bytes."""

    async def answer(request: Request) -> None:
        await request.reply(body)

    return answer


async def decide_slowly(request: Request) -> None:
    """Answer when the most of the emitter's time is over."""
    await asyncio.sleep(SLOW * (request.timeout_ms or BUS_TIMEOUT_MS) / 1000)
    await request.reply(decision(request, "continue"))


async def decide_too_late(request: Request) -> None:
    """Answer when the emitter's time is over; never, if it names none."""
    if request.timeout_ms is not None:
        await asyncio.sleep(request.timeout_ms / 1000 + LATE)
        await request.reply(decision(request, "continue"))
