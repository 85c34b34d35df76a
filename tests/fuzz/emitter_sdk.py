"""Decisions and refusals at the emitter SDK: an outcome is never guessed."""

from __future__ import annotations

import json
from random import Random
from typing import Any, ClassVar

from hookbus.emitter import Emitter
from hookbus.errors import InvalidEvent, Unavailable
from hookbus.message import Message
from hookbus.models import Decision
from tests.flow.bus import Bus
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.rfc6902 import same
from tests.fuzz.target import Stranger
from tests.fuzz.watching import Finding, Watch

HEADERS = (*("Nats-Service-Error-Code", "Nats-Service-Error", "Status", "Description", "x"),)
DATA = {"text": "hi"}


class EmitterSdk:
    """An honest emitter, and something that answers in the dispatcher's place."""

    name: ClassVar[str] = "emitter"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._stranger = Stranger(bus)
        self._answer: tuple[bytes, dict[str, str] | None] = (b"", None)

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        members = _refusal(random) if random.random() < 0.3 else _decision(random)
        if random.random() < 0.7:
            members = hostile.disturbed(random, members)
        body = hostile.damaged(random, hostile.written(members).encode("utf-8", "surrogatepass"))
        headers = hostile.headers(random, HEADERS)
        if members and members[-1][0] == '"error"' and random.random() < 0.8:
            headers = {**(headers or {}), "Nats-Service-Error-Code": random.choice(("400", "503"))}
        return {"body": parts(body), "headers": headers}

    async def start(self) -> None:
        transport = await self._bus.connect("dispatcher")

        def on_emit(message: Message) -> None:
            body, headers = self._answer
            self._stranger.send(message.reply, body, "", headers)

        for subject in ("hookbus.emit.>", "hookbus.notify.>"):
            await transport.subscribe(subject, on_emit, queue="dispatcher")
        self._emitters = {
            choice: Emitter(self._bus.transport, source="/s", on_unavailable=choice)
            for choice in ("raise", "block", "continue")
        }

    async def feed(self, fed: Input) -> None:
        self._answer = fed.data("body"), fed.get("headers") or None
        said = _said(*self._answer)
        for choice, emitter in self._emitters.items():
            try:
                decision = await emitter.emit("message_received", DATA)
            except InvalidEvent:
                if "refused" not in said:
                    raise Finding(f"refused, expected one of {said}") from None
            except Unavailable:
                if choice != "raise" or "unavailable" not in said:
                    raise Finding(f"on_unavailable={choice} raised, expected {said}") from None
            except Exception as e:
                raise Finding(f"raised {type(e).__name__}: {str(e)[:200]}") from e
            else:
                self._check(decision, said, choice)
        try:
            await self._emitters["raise"].notify("message_received", DATA)
        except (InvalidEvent, Unavailable):
            pass
        except Exception as e:
            raise Finding(f"notify raised {type(e).__name__}: {str(e)[:200]}") from e

    def _check(self, decision: Decision, said: dict[str, Any], choice: str) -> None:
        if "unavailable" in said and choice != "raise" and decision.outcome == choice:
            return
        if decision.outcome not in said:
            raise Finding(f"outcome {decision.outcome!r}, said was {said}")
        expected = {"continue": DATA, "block": None}.get(decision.outcome, said[decision.outcome])
        if not same(decision.data, expected):
            raise Finding(f"{decision.outcome} with the data {decision.data!r:.200}")


def _said(body: bytes, headers: dict[str, str] | None) -> dict[str, Any]:
    """What the answer may mean, by the letter of the protocol: each word, and its data."""

    def refuse(text: str) -> float:
        raise ValueError(text)

    def integer(text: str) -> float:
        return int(text) if len(text) <= 4_300 else float("inf")

    if headers and headers.get("Status") == "503" and not body:
        return {"unavailable": None}
    if headers and "Nats-Service-Error-Code" in headers:
        return {"refused": None, "unavailable": None}
    try:
        text = body.decode(errors="replace")
        decision = json.loads(text, parse_constant=refuse, parse_int=integer)
        outcome = decision["outcome"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"unavailable": None}
    if outcome not in ("continue", "intercept", "block"):
        return {"unavailable": None}
    return {outcome: decision.get("data"), "unavailable": None}


def _decision(random: Random) -> hostile.Members:
    outcome = random.choice(('"continue"', '"intercept"', '"block"'))
    members = [
        ('"v"', "1"),
        ('"id"', '"d"'),
        ('"event"', '{"id":"1","source":"/s","type":"message_received"}'),
        ('"outcome"', outcome),
        ('"generation"', random.choice(("1", *hostile.NUMBERS))),
        ('"records"', random.choice(("[]", hostile.value(random)))),
        ('"reason"', random.choice(("null", hostile.string(random)))),
    ]
    if outcome == '"intercept"' or random.random() < 0.1:
        members.append(('"data"', random.choice((hostile.sane(random), hostile.value(random)))))
    return members


def _refusal(random: Random) -> hostile.Members:
    code = random.choice(('"invalid_event"', '"unavailable"', '"schema"', hostile.string(random)))
    pointer = json.dumps(hostile.pointer(random))
    error = [('"code"', code), ('"message"', hostile.string(random)), ('"pointer"', pointer)]
    return [('"v"', "1"), ('"error"', hostile.written(error))]
