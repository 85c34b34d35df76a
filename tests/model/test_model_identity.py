"""No interleaving ever gives one event another's verdict (R13, R19).

Plugins answer late, twice, in pieces of another's words and on another's subject, while emits end
by timeout or are given up. Every verdict names its event, so a wrong one shows; once the plugins
behave, every further event gets the verdicts of all, whatever still comes in late.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any, Final

import msgspec
from hypothesis import given

from hookbus import Decision, Emitter, subjects
from hookbus.message import Message
from hookbus.testing import MemoryTransport, run_virtual
from tests.model.hookbus_side import RunningBus
from tests.model.strategies import examples, randoms
from tests.model.values import Hook, Settings

#: Nobody is subscribed for them until the chaos begins.
HOOKS: Final = (
    Hook("a", "a", "mutate", (), timeout_ms=40, on_failure="open", reinvoke="if_needed"),
    Hook("b", "b", "mutate", (), timeout_ms=60, on_failure="open", retry=2),
    Hook("c", "c", "validate", (), timeout_ms=30, on_failure="open", max_extension_ms=50),
    Hook("d", "d", "validate", (), timeout_ms=90, on_failure="closed", retry=1),
    Hook("e", "e", "validate", (), timeout_ms=50, mode="warn"),
)
SETTINGS: Final = Settings(HOOKS, breaker_failures=1_000_000)

#: What a call is answered with, each after a while; the last are right, late ones included.
REPLIES: Final = (
    "old attempt",
    "next attempt",
    "other call",
    "other subject",
    "other plugin",
    "error",
    "extend",
    "nothing",
    *["right"] * 8,
)


class Chaotic:
    """A plugin that answers every call some times, rightly or not, until it is told to behave."""

    def __init__(self, hook: Hook, transport: MemoryTransport, random: Random) -> None:
        self.is_honest = False
        self._hook = hook
        self._transport = transport
        self._random = random
        self._heard: list[tuple[dict[str, Any], str]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        subject = subjects.call(self._hook.plugin, self._hook.name)
        await self._transport.subscribe(subject, self._on_call, queue=self._hook.plugin)

    def _on_call(self, message: Message) -> None:
        call = msgspec.json.decode(message.data, type=dict[str, Any])
        self._heard.append((call, message.reply))
        if self.is_honest:
            self._send(message.reply, self._verdict(call))
            return
        for _ in range(self._random.randint(1, 3)):
            after = self._random.choice([0, 0, 0, 10, 29, 31, 59, 61, 89, 91, 150, 400]) / 1000
            subject, body = self._reply(self._random.choice(REPLIES), call, message.reply)
            asyncio.get_running_loop().call_later(after, self._send, subject, body)

    def _reply(self, kind: str, call: dict[str, Any], subject: str) -> tuple[str, dict[str, Any]]:
        right = self._verdict(call)
        other, its_subject = self._random.choice(self._heard)
        match kind:
            case "old attempt":
                return subject, right | {"attempt": call["attempt"] - 1}
            case "next attempt":
                return subject, right | {"attempt": call["attempt"] + 1}
            case "other call":
                return subject, self._verdict(other)
            case "other subject":
                return its_subject, right
            case "other plugin":
                return subject, right | {"plugin": "z"}
            case "error":
                return subject, right | {"verdict": "error"}
            case "extend":
                return subject, right | {"verdict": "extend", "extend_ms": 30}
            case "nothing":
                return subject, {}
        return subject, right

    def _verdict(self, call: dict[str, Any]) -> dict[str, Any]:
        """An honest reply whose verdict names the event."""
        about = call["event"]["id"]
        honest: dict[str, Any] = {
            "v": 1,
            "call": call["call"],
            "attempt": call["attempt"],
            "plugin": self._hook.plugin,
            "annotations": {"about": about},
        }
        if self._hook.phase == "mutate":
            return honest | {"verdict": "intercept", "merge": {self._hook.plugin: about}}
        if self._random.randrange(2):
            return honest | {"verdict": "block", "reason": about}
        return honest | {"verdict": "continue"}

    def _send(self, subject: str, body: dict[str, Any]) -> None:
        sending = asyncio.ensure_future(
            self._transport.publish(subject, msgspec.json.encode(body) if body else b"")
        )
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)


def _is_about(decision: Decision, id: str) -> bool:
    """Every verdict in the decision, and all that came of it, names this event."""
    said = [record for record in decision.records if record.verdict is not None]
    reasons = [record.reason for record in said if record.verdict == "block"]
    data = decision.data if decision.outcome == "intercept" else {}
    return (
        decision.event.id == id
        and all(record.annotations == {"about": id} for record in said)
        and all(reason == id for reason in reasons)
        and all(value == id for value in data.values())
    )


async def _chaos(random: Random) -> tuple[list[tuple[str, Decision]], list[tuple[str, Decision]]]:
    """Return what was decided while everything went wrong, and right after."""
    async with RunningBus(SETTINGS) as bus:
        plugins = [Chaotic(hook, bus.connect(), random) for hook in HOOKS]
        for plugin in plugins:
            await plugin.listen()
        emitter = Emitter(bus.connect(), source="/model")

        async def emit(id: str, timeout: float, patience: float) -> tuple[str, Decision] | None:
            await asyncio.sleep(random.randrange(200) / 1000)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    decision = await emitter.emit("thing_happened", {}, timeout=timeout, id=id)
                    return id, decision
            return None

        during = await asyncio.gather(
            *[
                emit(f"e{n}", random.choice([0.02, 0.1, 0.3]), random.choice([9.0, 9.0, 0.05]))
                for n in range(12)
            ]
        )
        for plugin in plugins:
            plugin.is_honest = True
        after = await asyncio.gather(*[emit(f"after{n}", 1.0, 9.0) for n in range(8)])
    return [d for d in during if d is not None], [d for d in after if d is not None]


@examples(40)
@given(randoms)
def test_no_event_ever_gets_anothers_verdict(random: Random) -> None:
    during, after = run_virtual(_chaos(random))

    assert [event_id for event_id, d in during + after if not _is_about(d, event_id)] == []
    assert len(after) == 8
    assert [r.failure for _, decision in after for r in decision.records if r.failure] == []
