"""What all targets share: a bus in memory, hostile messages on it, and who answered how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar, Protocol

from hookbus.message import Message
from hookbus.testing import MemoryMessage, MemoryTransport
from tests.flow.bus import Bus
from tests.flow.engines import MemoryEngine
from tests.fuzz.inputs import Input
from tests.fuzz.watching import Finding, Watch

PATIENCE = 40.0  # seconds on the loop's clock until an answer counts as missing


class Target(Protocol):
    """One door of the bus, in a world of its own that takes many inputs."""

    name: ClassVar[str]

    def __init__(self, bus: Bus, watch: Watch) -> None: ...

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        """Make the fields of one input."""

    async def start(self) -> None: ...

    async def feed(self, fed: Input) -> None:
        """Feed one input.

        Raises:
            Finding: What came of it breaks a rule.
        """


class Stranger:
    """A client that may send anything: no library checks what it says."""

    def __init__(self, bus: Bus) -> None:
        assert isinstance(bus.engine, MemoryEngine)
        self._broker = bus.engine.broker
        self._transport = MemoryTransport(self._broker, principal="stranger")
        self._asked = 0

    async def close(self) -> None:
        await self._transport.close()

    def send(
        self, subject: str, body: bytes, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self._broker.route(MemoryMessage(subject, body, reply, headers or None), self._transport)

    async def answer(self, subject: str, body: Callable[[], bytes]) -> None:
        """Answer requests on *subject* that are somebody else's to answer."""

        def on_request(message: Message) -> None:
            if message.reply:
                self.send(message.reply, body())

        await self._transport.subscribe(subject, on_request)

    async def ask(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None, reply: str
    ) -> list[Message]:
        """Send, and return all that comes back on *reply* until it is quiet.

        ``"@"`` in *reply* becomes a number that was not used yet.
        """
        self._asked += 1
        reply = reply.replace("@", str(self._asked))
        answers: list[Message] = []
        came = asyncio.Event()

        def on_answer(message: Message) -> None:
            answers.append(message)
            came.set()

        subscription = await self._transport.subscribe(reply or "nowhere", on_answer)
        self.send(subject, body, reply, headers)
        try:
            async with asyncio.timeout(PATIENCE):
                await came.wait()
            await asyncio.sleep(0.5)  # a second answer would be one too many
        except TimeoutError:
            pass
        await subscription.drain()
        return answers


def answer_of(answers: list[Message]) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The one answer's object and headers.

    Raises:
        Finding: There is none, or more than one, or it is no object.
    """
    if len(answers) != 1:
        raise Finding(f"answered {len(answers)} times, expected once")
    try:
        body = json.loads(answers[0].data.decode())
    except ValueError as e:
        raise Finding(f"the answer is not JSON: {e}") from e
    if not isinstance(body, dict) or body.get("v") != 1:
        raise Finding(f"the answer is no object with v 1: {str(body)[:200]}")
    return body, answers[0].headers or {}
