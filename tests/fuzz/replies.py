"""Replies of plugins: an independent judge says what each means for the decision."""

from __future__ import annotations

import json
from random import Random
from typing import Any, ClassVar

import msgspec

from hookbus.message import Message
from tests.flow.bus import Bus
from tests.flow.scripted import Scripted
from tests.fuzz.inputs import Input, joined
from tests.fuzz.judge import FAILURE, NOT_GIVEN, Asked, Meaning, judge
from tests.fuzz.rfc6902 import same
from tests.fuzz.target import Stranger, answer_of
from tests.fuzz.verdicts import random_reply
from tests.fuzz.watching import Finding, Watch

#: What the event holds: patches have something to hit.
DOCUMENTS: tuple[Any, ...] = (
    {"text": "hi", "n": 1, "list": [1, {"a": 2}, "x"], "deep": {"a": {"b": {}}}, "": 0, "a/b": 1},
    {"a": {"b": [[], [[1]]]}, "m~n": True, "x": None, "0": "zero", "-": "-", "~": "~"},
    [1, [2, [3]], {"a": None}],
    "text",
    None,
)
ROLES = ("m-closed", "m-open", "v-closed", "v-open")
SETTINGS: dict[str, Any] = {
    "idempotency": "off",
    "types": {"thing": {}},
    "breaker": {"failures": 1_000_000},
    "plugins": {role: {"hooks": {"hook": {"max_extension_ms": 100}}} for role in ROLES},
}


class Replies:
    """One plugin answers with hostile bytes, three others say continue."""

    name: ClassVar[str] = "replies"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._stranger = Stranger(bus)
        self._puppets = {role: _Puppet(role, self._stranger) for role in ROLES}

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        role, document = random.choice(ROLES), random.randrange(len(DOCUMENTS))
        count = random.choice((1, 1, 1, 2, 3))
        answers = [random_reply(random, role, DOCUMENTS[document]) for _ in range(count)]
        return {"role": role, "document": document, "answers": answers}

    async def start(self) -> None:
        await self._bus.start(*self._puppets.values(), **SETTINGS)

    async def feed(self, fed: Input) -> None:
        data = DOCUMENTS[fed.get("document", 0)]
        if fed.get("data"):
            data = json.loads(fed.data("data"))
        puppet = self._puppets[fed.fields["role"]]
        puppet.plan(fed.fields["answers"])
        also = fed.get("also", {})  # others that answer oddly too, and then nobody judges
        for role, answers in also.items():
            self._puppets[role].plan(answers)
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "thing", "data": data}
        try:
            answers = await self._stranger.ask(
                "hookbus.emit.chat.thing", json.dumps(event).encode(), None, "_INBOX.stranger.@"
            )
        finally:
            for each in self._puppets.values():
                each.plan([])
        decision, _ = answer_of(answers)
        if "error" in decision:
            raise Finding(f"refused: {decision['error']}")
        if not also:
            _compare(_first_valid(puppet.judged), decision, puppet.name, data)


class _Puppet(Scripted):
    """Sends what is planned, else continue, and has the judge say what that means."""

    def __init__(self, role: str, stranger: Stranger) -> None:
        phase = "mutate" if role.startswith("m") else "validate"
        policy = role.partition("-")[2]
        super().__init__(role, phase=phase, type="thing", timeout_ms=200, on_failure=policy)
        self._stranger = stranger
        self._planned: list[dict[str, Any]] = []
        self.judged: list[Meaning] = []

    def plan(self, answers: list[dict[str, Any]]) -> None:
        self._planned = answers
        if answers:
            self.judged = []

    def _on_call(self, message: Message) -> None:
        if not self._planned:
            super()._on_call(message)
            return
        call = msgspec.json.decode(message.data, type=dict[str, Any])
        for answer in self._planned:
            body = joined(answer["body"]).replace(b"@CALL@", call["call"].encode())
            subject = str(answer.get("subject", "@REPLY@")).replace("@REPLY@", message.reply)
            subject = subject.replace("@PREFIX@", message.reply.rpartition(".")[0])
            speaker = self.name if subject == message.reply else ""
            asked = Asked(self.name, call["call"], 1, call["phase"], call["event"]["data"], speaker)
            self.judged.append(judge(body, answer.get("headers"), asked))
            self._stranger.send(subject, body, "", answer.get("headers"))


def _first_valid(judged: list[Meaning]) -> Meaning:
    """One reply per call, the first valid one wins (R13); none is a timeout."""
    words: set[str] = set()
    for meaning in judged:
        final = meaning.words - {"dropped", "extend"}
        words |= final
        if final and not words - {"failure"} <= final:
            return Meaning(frozenset(words))  # open in more than one way: only the words count
        if final == meaning.words:
            data = meaning.data if meaning.data is not NOT_GIVEN else NOT_GIVEN
            return Meaning(frozenset(words), data)
        if final:
            continue
    return Meaning(frozenset(words | FAILURE.words))


def _compare(meaning: Meaning, decision: dict[str, Any], role: str, data: Any) -> None:
    """Hold the decision against what was said: one phrase for each way it may come out."""
    allowed: set[str] = set()
    for word in meaning.words:
        if word == "failure":
            allowed.add("block, failure" if role.endswith("closed") else "continue, degraded")
        elif word == "block":
            allowed.add("block, verdict")
        elif word == "intercept" and (meaning.data is NOT_GIVEN or not same(meaning.data, data)):
            allowed.add("intercept")
        else:
            allowed.add("continue")
    found = _phrase(decision)
    if found not in allowed:
        raise Finding(f"decided {found!r}, the judge allows {sorted(allowed)}: {_why(decision)}")
    is_other = meaning.data is not NOT_GIVEN and not same(meaning.data, decision.get("data"))
    if found == "intercept" and is_other:
        raise Finding(f"changed to {decision.get('data')!r:.300}, expected {meaning.data!r:.300}")


def _phrase(decision: dict[str, Any]) -> str:
    if decision["outcome"] == "block":
        return "block, verdict" if decision["cause"] == "verdict" else "block, failure"
    if decision["degraded"]:
        return "continue, degraded" if decision["outcome"] == "continue" else "intercept, degraded"
    return str(decision["outcome"])


def _why(decision: dict[str, Any]) -> str:
    records = [(r["plugin"], r["verdict"], r["failure"], r["reason"]) for r in decision["records"]]
    return f"{decision['reason']!r:.200} {records!r:.600}"
