"""The dispatcher's side of calls: sends them, and keeps everything that comes back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.target import Hook
from hookbus.message import Message, is_no_responders
from hookbus.transport import Subscription, Transport
from hookbus.wire.limits import NOT_JSON

PATIENCE: Final = 5.0  # seconds for an answer to a call that names the same as its timeout
SETTLE: Final = 0.3  # seconds in which what should not come would have come

_CALL_ID_BYTES: Final = 16  # in base64url 22 characters

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """One message on a call's reply subject, *after* so many seconds."""

    after: float
    body: bytes
    headers: Mapping[str, str] | None

    @property
    def members(self) -> dict[str, Any] | None:
        """The JSON object in it, or None if it holds none."""
        try:
            self.body.decode()
            value = msgspec.json.decode(self.body)
        except NOT_JSON:
            return None
        return value if isinstance(value, dict) else None

    @property
    def is_final(self) -> bool:
        """Everything but the wish for more time."""
        return (self.members or {}).get("verdict") != "extend"


@dataclass(slots=True)
class Exchange:
    """One call and all that came back."""

    call: str
    attempt: int
    sent: float
    replies: list[Reply] = field(default_factory=list)
    is_absent: bool = False  # the broker said that nothing is subscribed
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answers(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.is_final]

    @property
    def answer(self) -> Reply | None:
        """The first verdict; None if there was none in time."""
        return next(iter(self.answers), None)

    async def wait(self, seconds: float) -> None:
        """Return with the first verdict, when nobody is there, or when the time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return

    def take(self, message: Message, now: float) -> None:
        if is_no_responders(message):
            self.is_absent = True
        else:
            self.replies.append(Reply(now - self.sent, message.data, message.headers))
        if self.is_absent or self.answers:
            self._over.set()


class Caller:
    """Makes calls as a dispatcher does; needs its rights."""

    def __init__(self, transport: Transport, principal: str) -> None:
        self.transport = transport
        self._principal = principal
        self._prefix = subjects.reply_prefix(secrets.token_urlsafe(12))
        self._clock = asyncio.get_running_loop().time
        self._exchanges: dict[str, Exchange] = {}
        self._subscription: Subscription | None = None
        #: Subjects on which an answer came that had been asked for on another one.
        self.strays: list[str] = []

    async def start(self) -> None:
        """Listen to all replies: an answer that goes astray is seen only there."""
        self._subscription = await self.transport.subscribe(f"{subjects.REPLY}>", self._on_reply)
        await self.transport.flush()

    async def stop(self) -> None:
        if self._subscription is not None:
            await self._subscription.drain()

    async def ask(self, hook: Hook, **members: Any) -> Exchange:
        """Make a valid call, with *members* over the usual ones, and wait for its verdict."""
        exchange = await self.call(hook, **members)
        await exchange.wait(PATIENCE)
        return exchange

    async def call(self, hook: Hook, **members: Any) -> Exchange:
        """Make a valid call and do not wait."""
        attempt = members.get("attempt", 1)
        return await self.send(hook, lambda call: call_body(hook, call, **members), attempt)

    async def send(self, hook: Hook, body: Callable[[str], bytes], attempt: int = 1) -> Exchange:
        """Send any bytes as a call; *body* makes them for a fresh call id."""
        call = secrets.token_urlsafe(_CALL_ID_BYTES)
        reply = f"{self._prefix}{call}.{hook.plugin}"
        exchange = self._exchanges[reply] = Exchange(call, attempt, self._clock())
        await self.transport.publish(hook.subject, body(call), reply=reply)
        return exchange

    async def answers_elsewhere(self, hook: Hook) -> int:
        """Name an inbox of ours as the reply subject; count what is answered there."""
        inbox = f"{subjects.inbox(self._principal)}.{secrets.token_hex(12)}"
        heard: list[Message] = []
        subscription = await self.transport.subscribe(inbox, heard.append)
        await self.transport.flush()
        call = secrets.token_urlsafe(_CALL_ID_BYTES)
        await self.transport.publish(hook.subject, call_body(hook, call), reply=inbox)
        await asyncio.sleep(SETTLE)
        await subscription.drain()
        return sum(not is_no_responders(message) for message in heard)

    def _on_reply(self, message: Message) -> None:
        exchange = self._exchanges.get(message.subject)
        if exchange is not None:
            exchange.take(message, self._clock())
        elif message.subject.startswith(self._prefix) or self._names_a_call(message.data):
            self.strays.append(message.subject)

    def _names_a_call(self, body: bytes) -> bool:
        """Tell our calls from those of the dispatchers of a bus that is in use."""
        return any(exchange.call.encode() in body for exchange in self._exchanges.values())


def call_body(hook: Hook, call: str, **members: Any) -> bytes:
    """Encode a call, with *members* over the usual ones; its timeout is our patience."""
    usual = {
        "v": 1,
        "call": call,
        "attempt": 1,
        "round": 1,
        "plugin": hook.plugin,
        "hook": hook.name,
        "phase": hook.phase,
        "timeout_ms": int(PATIENCE * 1000),
        "generation": 1,
        "event": hook.event(),
    }
    return _encode({**usual, **members})
