"""Emitters in memory: one that makes one mistake on purpose, and that of the SDK."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.emitters.stage import GOES_ON, Ended
from hookbus.emitter import Emitter
from hookbus.errors import InvalidEvent, TransportError, Unavailable
from hookbus.message import Message, is_no_responders
from hookbus.testing import MemoryBroker, MemoryTransport

NAME: Final = "raw"
TIMEOUT: Final = 1.0  # seconds

#: mistake → what its event says instead; None takes a member away.
MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "no specversion": {"specversion": None},
    "no source": {"source": None},
    "another type in the body": {"type": "tool_invoked"},
    "hardly any time": {"hbtimeoutms": 5},
    "text for data": {"data": '{"text":"hi"}'},
    "names no time": {"hbtimeoutms": None},
    "one id": {"id": "1"},
}


class RawEmitter:
    """One program; without a *mistake* it keeps the protocol."""

    def __init__(self, broker: MemoryBroker, mistake: str = "") -> None:
        self._broker = broker
        self._mistake = mistake
        self._ids = itertools.count()

    async def run(self, event_type: str, data: Any) -> Ended:
        transport = MemoryTransport(self._broker, principal=NAME)
        try:
            said = await self._emit(transport, event_type, data)
        finally:
            await transport.close()
        return Ended(problem="no outcome") if self._mistake == "says nothing" else said

    async def _emit(self, transport: MemoryTransport, event_type: str, data: Any) -> Ended:
        if self._mistake == "emits nothing":
            return Ended(problem="no outcome")
        event = self._event(event_type, data)
        if self._mistake == "another type":
            event_type = event["type"] = "tool_invoked"
        try:
            reply = await self._request(transport, event_type, msgspec.json.encode(event))
        except TimeoutError:
            return self._undecided("late")
        except ConnectionError:
            return self._undecided("broker gone")
        except TransportError:
            return self._undecided("broker absent")
        if reply.data == b"" and is_no_responders(reply):
            return self._undecided("nobody")
        return self._read(reply, event, data)

    def _event(self, event_type: str, data: Any) -> dict[str, Any]:
        event = {
            "specversion": "1.0",
            "id": str(next(self._ids)),
            "source": "/raw",
            "type": event_type,
            "hbtimeoutms": int(TIMEOUT * 1000),
            "data": data,
            **MEMBERS.get(self._mistake, {}),
        }
        return {name: value for name, value in event.items() if value is not None}

    async def _request(self, transport: MemoryTransport, event_type: str, body: bytes) -> Message:
        replies: asyncio.Queue[Message] = asyncio.Queue()
        lost: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        transport.on_disconnect(lambda: lost.set_exception(ConnectionError()))
        inbox = "replies.1" if self._mistake == "no inbox" else f"{subjects.inbox(NAME)}.1"
        await transport.subscribe(inbox, replies.put_nowait)
        await transport.publish(subjects.emit(NAME, event_type), body, reply=inbox)
        if self._mistake == "asks twice":
            await transport.publish(subjects.emit(NAME, event_type), body, reply=inbox)
        first = asyncio.ensure_future(replies.get())
        try:
            async with asyncio.timeout(self._patience()):
                await asyncio.wait([first, lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        return first.result() if first.done() and not first.cancelled() else await lost

    def _patience(self) -> float:
        factor = {"impatient": 0.5, "waits too long": 3.0, "names no time": 31.0}
        return TIMEOUT * factor.get(self._mistake, 1.0)

    def _undecided(self, what: str) -> Ended:
        """End without a decision; the mistake of that name takes it for a yes."""
        return Ended("continue" if self._mistake == f"{what} is a yes" else "unavailable")

    def _read(self, reply: Message, event: dict[str, Any], data: Any) -> Ended:
        code = (reply.headers or {}).get("Nats-Service-Error-Code")
        if code == "400":
            if self._mistake == "knows one refusal" and b'"schema"' not in reply.data:
                return Ended("continue", data)
            return Ended("block" if self._mistake == "refused is blocked" else "refused")
        if code is not None:
            return self._undecided("unavailable")
        if not reply.data:
            return self._undecided("empty")
        try:
            decision = msgspec.json.decode(reply.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._undecided("no JSON")
        wrong = self._wrong(decision, event)
        return self._undecided(wrong) if wrong else self._obey(decision, data)

    def _wrong(self, decision: dict[str, Any], event: dict[str, Any]) -> str:
        outcome = decision.get("outcome")
        if self._mistake == "strict keys" and "x_unknown" in decision:
            return "strange"
        if outcome is None:
            return "no outcome"
        if "v" not in decision:
            return "no version"
        if decision["v"] != 1:
            return "version 2"
        if decision["event"]["id"] != event["id"]:
            return "another event"
        return "" if outcome in (*GOES_ON, "block") else "perhaps"

    def _obey(self, decision: dict[str, Any], data: Any) -> Ended:
        outcome, used = decision["outcome"], data
        if outcome == "block" and self._mistake == "only verdicts block":
            return Ended("block" if decision["cause"] == "verdict" else "continue", data)
        if outcome == "block":
            return Ended("continue", data) if self._mistake == "ignores blocks" else Ended("block")
        if outcome == "continue":
            return Ended(outcome, {} if self._mistake == "forgets its data" else data)
        if "data" not in decision:
            is_wrong = self._mistake == "needs no data"
            return Ended(outcome, data) if is_wrong else Ended("unavailable")
        if self._mistake == "merges":
            used = {**data, **decision["data"]} if decision["data"] else {}
        elif self._mistake != "empty is none" or decision["data"]:
            used = decision["data"]
        return Ended(outcome, used)


class SdkEmitter:
    """Ends as `hookbus.Emitter` does."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def run(self, event_type: str, data: Any) -> Ended:
        transport = MemoryTransport(self._broker, principal=NAME)
        emitter = Emitter(transport, source="/sdk", principal=NAME)
        try:
            decision = await emitter.emit(event_type, data)
        except InvalidEvent:
            return Ended("refused")
        except Unavailable:
            return Ended("unavailable")
        finally:
            await transport.close()
        return Ended(decision.outcome, decision.data)
