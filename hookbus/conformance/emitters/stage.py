"""The bus that an emitter is tried on: nobody but we answers, and as a script says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from hookbus import subjects
from hookbus.errors import InvalidEvent
from hookbus.message import Message
from hookbus.transport import Transport
from hookbus.wire.event import Inbound, decode_event
from hookbus.wire.limits import NOT_JSON

GOES_ON: Final = ("continue", "intercept")


@dataclass(frozen=True, slots=True)
class Ended:
    """What one run of the emitter said in the end.

    Attributes:
        outcome: the word that it printed; None if it printed none.
        data: what it goes on with.
        problem: why there is no word.
    """

    outcome: str | None = None
    data: Any = None
    problem: str = ""

    def __str__(self) -> str:
        return repr(self.outcome) if self.outcome is not None else self.problem


class Emitter(Protocol):
    """The program under test."""

    async def run(self, event_type: str, data: Any) -> Ended:
        """Let it emit one event, and return how that ended. It is ended with its task."""


@dataclass(frozen=True, slots=True)
class Request:
    """One emit as it came in."""

    message: Message
    transport: Transport

    @property
    def event_type(self) -> str:
        return subjects.principal_and_type(self.message.subject)[1]

    @property
    def event_id(self) -> str:
        """The event's id, in whichever mode it came; or nothing if there is none to be read."""
        with contextlib.suppress(InvalidEvent):
            return self.read().event.id
        try:
            event = msgspec.json.decode(self.message.data)
        except NOT_JSON:
            event = None
        return str(event.get("id", "")) if isinstance(event, dict) else ""

    def read(self) -> Inbound:
        """Check the event as a dispatcher does.

        Raises:
            InvalidEvent: A dispatcher would refuse it.
        """
        principal, event_type = subjects.principal_and_type(self.message.subject)
        return decode_event(self.message.data, self.message.headers, principal, event_type)

    @property
    def timeout_ms(self) -> int | None:
        """How long it says that it waits; None if it does not say so."""
        try:
            return self.read().event.hbtimeoutms
        except InvalidEvent:
            return None

    async def reply(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        if self.message.reply:
            await self.transport.publish(self.message.reply, body, headers=headers)


#: What is done with an emit; it may answer late, or not at all.
Answer: TypeAlias = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the emitter: what it emitted, and how it ended."""

    requests: list[Request]
    ended: Ended

    @property
    def went_on(self) -> bool:
        return self.ended.outcome in GOES_ON


@dataclass(slots=True)
class Stage:
    """Runs the emitter, one run after another.

    Attributes:
        stop_broker: ends the broker for good.
        runs: all so far.
    """

    transport: Transport
    emitter: Emitter
    event_type: str
    data: Any
    stop_broker: Callable[[], Awaitable[None]]
    runs: list[Run] = field(default_factory=list)

    @property
    def first(self) -> Run:
        """The run of the first check, which others look at, too."""
        return self.runs[0]

    async def play(self, answer: Answer | None) -> Run:
        """Let the emitter emit once. *answer* is what the dispatcher does; None: there is none."""
        requests: list[Request] = []
        answers: list[asyncio.Future[None]] = []
        if answer is not None:

            def on_emit(message: Message) -> None:
                requests.append(Request(message, self.transport))
                answers.append(asyncio.ensure_future(answer(requests[-1])))

            listening = await self.transport.subscribe(
                subjects.EMIT_ALL, on_emit, queue=subjects.DISPATCHER_QUEUE
            )
            await self.transport.flush()
        ended = await self.emitter.run(self.event_type, self.data)
        for task in answers:
            task.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
        if answer is not None and self.transport.is_connected:
            await listening.drain()
        run = Run(requests, ended)
        self.runs.append(run)
        return run

    async def play_without_broker(self) -> Run:
        """Let the emitter emit where no broker is; there is none from then on."""
        await self.stop_broker()
        return await self.play(None)
