"""Plugins that speak the protocol by hand, so that they can also speak it wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.message import Message
from hookbus.transport import Subscription, Transport


@dataclass(frozen=True, slots=True)
class Reply:
    """One message on a call's reply subject, *after* so many seconds.

    *members* go over what an honest plugin says; None takes a member away. *body* replaces all.
    *speaker* stands at the end of the reply subject instead of the plugin's own name.
    """

    members: Mapping[str, Any] = field(default_factory=dict)
    after: float = 0.0
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    speaker: str | None = None
    is_echo: bool = False

    def at(self, seconds: float) -> Reply:
        return replace(self, after=seconds)


def says(verdict: str, **members: Any) -> Reply:
    """Answer with a verdict: ``says("block", reason="no")``."""
    return Reply({"verdict": verdict, **members})


def sends(body: bytes, *, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with these very bytes."""
    return Reply(body=body, headers=headers)


CONTINUE: Final = says("continue")
SILENCE: Final[tuple[Reply, ...]] = ()
#: A Block whose reason is the text of the event that was asked about.
ECHO: Final = Reply({"verdict": "block"}, is_echo=True)


class Scripted:
    """A plugin of one hook that gives its *replies* in turn, the last one for ever.

    One entry is a reply, or a tuple of them for one call. What it was asked is in ``calls``.

        Scripted("a", says("block", reason="no").at(0.05), phase="validate", timeout_ms=100)
    """

    def __init__(
        self,
        name: str,
        *replies: Reply | tuple[Reply, ...],
        phase: str = "validate",
        type: str = "message_received",
        version: str = "1.0.0",
        **options: Any,
    ) -> None:
        self.name = name
        self.version = version
        self.hook = {"type": type, "phase": phase, "timeout_ms": 1_000, "name": "hook", **options}
        self.instance = f"{name}-1"
        self.calls: list[dict[str, Any]] = []
        self.reply_subjects: list[str] = []
        self._replies = list(replies) or [CONTINUE]
        self._transport: Transport | None = None
        self._subscription: Subscription | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def listen(self, transport: Transport, *, queue: str | None = None) -> None:
        """Take calls, as one of the plugin's own queue group unless told otherwise."""
        self._transport = transport
        subject = subjects.call(self.name, self.hook["name"])
        self._subscription = await transport.subscribe(
            subject, self._on_call, queue=self.name if queue is None else queue
        )
        await transport.flush()

    async def vanish(self) -> None:
        """Listen no more and say nothing, as a killed process does."""
        assert self._subscription is not None
        await self._subscription.drain()
        assert self._transport is not None
        await self._transport.flush()

    async def announce(self, **members: Any) -> dict[str, Any]:
        """Tell the registry; return its answer."""
        assert self._transport is not None
        body = {
            "v": 1,
            "plugin": self.name,
            "version": self.version,
            "instance": self.instance,
            "hooks": [self.hook],
            **members,
        }
        body = {k: v for k, v in body.items() if v is not None}
        subject = subjects.announce(self.name)
        answer = await self._transport.request(subject, msgspec.json.encode(body), timeout=5.0)
        return msgspec.json.decode(answer.data, type=dict[str, Any])

    async def say(self, reply: Reply, *, to: int = -1) -> None:
        """Answer a call that came earlier, by its place in ``calls``."""
        await self._send(reply, self.calls[to], self.reply_subjects[to])

    def _on_call(self, message: Message) -> None:
        call = msgspec.json.decode(message.data, type=dict[str, Any])
        turn = min(len(self.calls), len(self._replies) - 1)
        self.calls.append(call)
        self.reply_subjects.append(message.reply)
        entry = self._replies[turn]
        loop = asyncio.get_running_loop()
        for reply in entry if isinstance(entry, tuple) else (entry,):
            if reply.after:
                loop.call_later(reply.after, self._send_soon, reply, call, message.reply)
            else:
                self._send_soon(reply, call, message.reply)

    def _send_soon(self, reply: Reply, call: dict[str, Any], subject: str) -> None:
        task = asyncio.ensure_future(self._send(reply, call, subject))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, reply: Reply, call: dict[str, Any], subject: str) -> None:
        assert self._transport is not None
        if reply.speaker is not None:
            subject = f"{subject.rpartition('.')[0]}.{reply.speaker}"
        if reply.body is None and "call" not in call:
            return  # an observed event: a verdict would be no answer to it
        if self._transport.is_connected:
            body = self._body(reply, call) if reply.body is None else reply.body
            await self._transport.publish(subject, body, headers=reply.headers)

    def _body(self, reply: Reply, call: dict[str, Any]) -> bytes:
        honest = {
            "v": 1,
            "call": call["call"],
            "attempt": call["attempt"],
            "plugin": self.name,
            "version": self.version,
        }
        if reply.is_echo:
            honest["reason"] = call["event"]["data"]["text"]
        members = {k: v for k, v in {**honest, **reply.members}.items() if v is not None}
        return msgspec.json.encode(members)
