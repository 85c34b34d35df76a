"""A plugin that speaks the protocol by hand, and makes one mistake on purpose."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.target import Hook
from hookbus.message import Message
from hookbus.transport import Subscription, Transport

NAME: Final = "raw"

VALIDATE: Final = Hook(
    plugin=NAME, name="hook", type="message_received", phase="validate", data={"text": "hi"}
)
MUTATE: Final = Hook(
    plugin=NAME, name="hook", type="message_received", phase="mutate", data={"text": "hi"}
)

#: mistake → what it says instead of an honest verdict; None takes a member away.
MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "wrong call": {"call": "AAAAAAAAAAAAAAAAAAAAAA"},
    "no attempt": {"attempt": None},
    "attempt 1 always": {"attempt": 1},
    "wrong plugin": {"plugin": "another"},
    "unknown word": {"verdict": "perhaps"},
    "no v": {"v": None},
    "intercept": {"verdict": "intercept", "merge": {"text": "changed"}},
    "two changes": {"verdict": "intercept", "merge": {}, "data": {}},
    "bad patch": {"verdict": "intercept", "patch": [{"op": "remove", "path": "/no"}]},
    "error": {"verdict": "error", "reason": "out of order"},
    "block": {"verdict": "block"},
}


class RawPlugin:
    """One replica; without a *mistake* it keeps the protocol."""

    def __init__(self, transport: Transport, mistake: str = "") -> None:
        self._transport = transport
        self._mistake = mistake
        self._subscription: Subscription | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._latest = ""

    async def start(self) -> None:
        queue = "" if self._mistake == "no queue" else NAME
        subject = subjects.call(NAME, VALIDATE.name)
        self._subscription = await self._transport.subscribe(subject, self._on_call, queue=queue)

    async def stop(self) -> None:
        if self._mistake != "no goodbye":
            await self._transport.publish(
                subjects.announce(NAME), b'{"v":1,"goodbye":true,"instance":"a1"}'
            )
        await self._leave()

    async def _leave(self) -> None:
        assert self._subscription is not None
        await self._subscription.drain()

    def _on_call(self, message: Message) -> None:
        task = asyncio.ensure_future(self._handle(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _handle(self, message: Message) -> None:
        if not message.reply.startswith(subjects.REPLY) and self._mistake != "answers inboxes":
            return
        if self._mistake == "acknowledges all":
            await self._transport.publish(message.reply, b"+ACK")
            return
        try:
            message.data.decode()
            call = msgspec.json.decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if self._mistake == "dies":
                await self._leave()
            return
        if self._mistake == "dies of size" and len(message.data) > 100_000:
            await self._leave()
        elif self._mistake != "silent":
            await self._answer(call, message.reply)

    async def _answer(self, call: dict[str, Any], reply: str) -> None:
        self._latest = call["call"]
        if self._mistake == "late":
            await asyncio.sleep(0.4)
        elif self._mistake == "mixes calls up":
            await asyncio.sleep(0.01)
            call = {**call, "call": self._latest}
        body = self._body(call)
        await self._transport.publish(reply, body)
        if self._mistake == "twice":
            await self._transport.publish(reply, body)
        elif self._mistake == "astray":
            await self._transport.publish(f"{subjects.REPLY}other.{call['call']}.raw", body)

    def _body(self, call: dict[str, Any]) -> bytes:
        if self._mistake == "no JSON":
            return b"continue"
        if self._mistake == "strict keys" and "x_unknown" in call:
            return self._verdict(call, MEMBERS["error"])
        return self._verdict(call, MEMBERS.get(self._mistake, {}))

    def _verdict(self, call: dict[str, Any], members: dict[str, Any]) -> bytes:
        honest = {
            "v": 1,
            "call": call["call"],
            "attempt": call["attempt"],
            "plugin": NAME,
            "version": "1.0.0",
            "verdict": "continue",
        }
        said = {key: value for key, value in {**honest, **members}.items() if value is not None}
        return msgspec.json.encode(said)
