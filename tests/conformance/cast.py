"""The scripted plugins of one case, here or in another process, played over the protocol alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from hookbus import subjects
from hookbus.message import Message
from hookbus.transport import Transport
from tests.conformance.notation import Move, Part, read_part, read_turns
from tests.flow.scripted import Reply, Scripted

EMIT_TIMEOUT = 5.0  # seconds for an event that a plugin emits

Connect = Callable[[str], Awaitable[Transport]]


class Cast(Protocol):
    """Plays parts; arguments and results are JSON values, so that they can cross a pipe."""

    async def do(self, action: str, **arguments: Any) -> Any:
        """Do what :class:`LocalCast` has a method for."""


@dataclass(frozen=True, slots=True)
class _Made(Reply):
    """A reply with what only this table's plugins can do."""

    size: int = 0
    emits: str = ""


class Actor(Scripted):
    """One instance of one plugin; each call it takes is entered in the cast's journal."""

    def __init__(self, part: Part, number: int, journal: list[dict[str, Any]]) -> None:
        turns = [tuple(map(_made, turn)) for turn in part.turns]
        super().__init__(part.plugin, *turns, version=part.version)
        self.hook = part.hook
        self.instance = f"{part.plugin}-{number}"
        self.part = part
        self._journal = journal

    async def begin(self, transport: Transport) -> None:
        """Connect, and listen unless the part is absent."""
        self._transport = transport
        if not self.part.is_absent:
            await self.appear()

    async def appear(self) -> None:
        assert self._transport is not None
        await self.listen(self._transport, queue=self.part.queue)

    async def leave(self) -> dict[str, Any]:
        """Say goodbye as the protocol wants it, and listen no more."""
        answer = await self.announce(hooks=None, goodbye=True)
        await self.vanish()
        return answer

    async def crash(self) -> None:
        assert self._transport is not None
        await self._transport.close()

    async def utter(self, move: Move) -> None:
        """Send one more message about the last call."""
        await self.say(_made(move))

    def _on_call(self, message: Message) -> None:
        call = msgspec.json.decode(message.data, type=dict[str, Any])
        self._journal.append({"plugin": self.name, "hook": self.hook["name"], **call})
        super()._on_call(message)

    async def _send(self, reply: Reply, call: dict[str, Any], subject: str) -> None:
        if isinstance(reply, _Made) and reply.emits:
            reply = await self._emitted(reply, call)
        await super()._send(reply, call, subject)

    async def _emitted(self, reply: _Made, call: dict[str, Any]) -> Reply:
        """Emit an event as a handler does, with the chain that led here; a Block of it is ours."""
        assert self._transport is not None
        handled = call["event"]
        chain = [*filter(None, handled.get("hbchain", "").split(",")), self.name]
        event = {
            "specversion": "1.0",
            "id": f"{handled['id']}+{self.name}",
            "source": f"/{self.name}",
            "type": reply.emits,
            "hbchain": ",".join(chain),
            "data": handled["data"],
        }
        body = msgspec.json.encode(event)
        subject = subjects.emit(self.name, reply.emits)
        answer = await self._transport.request(subject, body, timeout=EMIT_TIMEOUT)
        decision = msgspec.json.decode(answer.data)
        if decision["outcome"] != "block":
            return reply
        return Reply({"verdict": "block", "reason": decision["reason"], "code": decision["code"]})

    def _body(self, reply: Reply, call: dict[str, Any]) -> bytes:
        body = super()._body(reply, call)
        if not isinstance(reply, _Made) or not reply.size:
            return body
        padding = reply.size - len(body) - len(',"pad":""')
        return body[:-1] + b',"pad":"' + b"x" * padding + b'"}'


class LocalCast:
    """Plays its parts in this process, each on a connection of its own."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._actors: list[Actor] = []
        self._journal: list[dict[str, Any]] = []

    async def do(self, action: str, **arguments: Any) -> Any:
        result = getattr(self, action)(**arguments)
        return await result if asyncio.iscoroutine(result) else result

    async def join(self, lines: list[str], place: int, type: str, scale: float) -> list[Any]:
        """Let the parts of one plugin listen, then announce them; return the registry's answers.

        Parts with hooks of different names are one instance, others are instances of their own.
        """
        parts = [read_part(line, place + i, type, scale) for i, line in enumerate(lines)]
        actors = []
        for part in parts:
            actor = Actor(part, len(self._actors) + 1, self._journal)
            await actor.begin(await self._connect(part.plugin))
            self._actors.append(actor)
            actors.append(actor)
        hooks = {part.hook["name"]: part.hook for part in parts}
        if len(hooks) == len(parts):
            return [await actors[0].announce(hooks=list(hooks.values()))]
        return [await actor.announce() for actor in actors]

    async def appear(self, plugin: str) -> None:
        """Listen at last."""
        for actor in self._of(plugin):
            await actor.appear()

    async def vanish(self, plugin: str) -> None:
        """Listen no more, without a word."""
        for actor in self._of(plugin):
            await actor.vanish()

    async def crash(self, plugin: str) -> None:
        """Lose the connection for ever, as a killed process does."""
        for actor in self._of(plugin):
            await actor.crash()

    async def leave(self, plugin: str) -> list[Any]:
        """Say goodbye."""
        return [await actor.leave() for actor in self._of(plugin)]

    async def announce(self, plugin: str) -> list[Any]:
        """Announce anew, as after a reconnect."""
        return [await actor.announce() for actor in self._of(plugin)]

    async def say(self, plugin: str, script: str, scale: float) -> None:
        """Send messages about the last call of a plugin."""
        for move in read_turns(script, scale)[0]:
            await self._of(plugin)[0].utter(move)

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls so far, in the order in which they came."""
        return self._journal

    def _of(self, plugin: str) -> list[Actor]:
        return [actor for actor in self._actors if actor.name == plugin]


def _made(move: Move) -> Reply:
    reply = move.reply
    members: Mapping[str, Any] = reply.members
    return _Made(
        members,
        reply.after,
        reply.body,
        reply.headers,
        reply.speaker,
        size=move.size,
        emits=move.emits,
    )
