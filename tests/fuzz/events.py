"""Events at the ingress: whatever comes is refused, decided by honest plugins, or dropped."""

from __future__ import annotations

import json
from random import Random
from typing import Any, ClassVar

from hookbus.models import Block, Continue, HookEvent, Intercept
from hookbus.plugin import Plugin
from tests.flow.bus import Bus
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.target import Stranger, answer_of
from tests.fuzz.watching import Finding, Watch

HEADERS = (
    *("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-data"),
    *("ce-hbtimeoutms", "ce-hbdryrun", "ce-hbchain", "ce-dataref", "ce-é", "ce-", "ce-data_base64"),
    *("content-type", "traceparent", "tracestate", "Hookbus-Timeout-Ms", "Status", "x"),
)
SETTINGS: dict[str, Any] = {
    "idempotency": "off",
    "observe": "always",
    "types": {
        "thing": {"secret": ["/secret", "/list"]},
        "deep.er.thing": {"schema": {"type": "object", "x-hookbus-secret": True}},
    },
}
SMALL = 500_000  # bytes; a larger event may be too large after the honest mutation
NEVER = ("unavailable",)


class Events:
    """Honest plugins, hostile emitters."""

    name: ClassVar[str] = "events"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._watch = watch
        self._asked: list[HookEvent[Any]] = []
        self._blocked = 0

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        type_ = random.choice(("message_received", "thing", "thing", "thing", "deep.er.thing"))
        members = hostile.disturbed(random, _honest(random, type_))
        body = hostile.damaged(random, hostile.written(members).encode("utf-8", "surrogatepass"))
        if random.random() < 0.05:
            type_ = ".".join(random.choice(hostile.TOKENS) for _ in range(random.randrange(1, 7)))
        principal = random.choice(("chat", "chat", "mutator", "validator", *hostile.TOKENS))
        reply = "_INBOX.stranger.@"
        if random.random() < 0.05:
            reply = random.choice(("", "hookbus.ctl.a.list", "hookbus.reply.x.y.z", "inbox.@"))
        return {
            "subject": f"hookbus.{random.choice(('emit', 'emit', 'notify'))}.{principal}.{type_}",
            "reply": reply,
            "headers": hostile.headers(random, HEADERS),
            "body": parts(body),
        }

    async def start(self) -> None:
        await self._bus.start(**SETTINGS)
        for plugin in (self._mutator(), self._validator(), self._doubter()):
            await self._bus.serve(plugin)
        self._stranger = Stranger(self._bus)

    async def feed(self, fed: Input) -> None:
        body, headers = fed.data("body"), fed.get("headers")
        subject, reply = fed.fields["subject"], fed.get("reply", "_INBOX.stranger.@")
        self._asked.clear()
        answers = await self._stranger.ask(subject, body, headers, reply)
        if not reply.startswith("_INBOX."):
            if answers or self._asked:
                raise Finding(f"decided or answered without an inbox to answer to: {reply!r}")
            return
        answer, answer_headers = answer_of(answers)
        if self._watch.warnings:
            raise Finding(f"warned: {self._watch.warnings[0][:300]}")
        if "error" in answer:
            self._check_refusal(answer["error"], answer_headers)
        elif subject.startswith("hookbus.notify."):
            if not isinstance(answer.get("stored"), bool):
                raise Finding(f"a notification is answered {answer}")
        else:
            self._check_decision(answer, body, headers, subject)

    def _check_refusal(self, error: dict[str, Any], headers: Any) -> None:
        if error["code"] not in ("invalid_event", "unknown_type", "schema"):
            raise Finding(f"refused with {error}: that is a failure of the bus")
        if headers.get("Nats-Service-Error-Code") != "400":
            raise Finding(f"refused with headers {headers}")
        if self._asked:
            raise Finding("refused, but plugins were asked")

    def _check_decision(
        self, decision: dict[str, Any], body: bytes, headers: Any, subject: str
    ) -> None:
        if not headers:
            _check_valid(body, subject)
        outcome = decision["outcome"]
        if outcome == "block":
            if decision["cause"] not in ("limit", "loop", "config") and len(body) < SMALL:
                raise Finding(f"honest plugins, but {decision['cause']}: {decision['reason']}")
            return
        principal = subject.split(".")[2]
        asked = [event.id for event in self._asked]
        if asked.count(decision["event"]["id"]) != 1 and principal != "validator":
            raise Finding(f"{outcome}, but the closed plugin was asked about {asked}")
        if principal == "mutator":
            return
        data = self._asked[0].data if self._asked else decision.get("data")
        if isinstance(data, dict) != ("seen" in data if isinstance(data, dict) else False):
            raise Finding("the validator did not see what the mutator wrote")

    def _mutator(self) -> Plugin:
        plugin = Plugin("mutator", version="1.0.0")

        @plugin.hook(">", phase="mutate", name="hook", timeout_ms=30_000, priority=1)
        async def mark(event: HookEvent[Any]) -> Intercept | None:
            if isinstance(event.data, dict):
                return Intercept(merge={"seen": True})
            return None

        return plugin

    def _validator(self) -> Plugin:
        plugin = Plugin("validator", version="1.0.0")

        @plugin.hook(">", phase="validate", name="hook", timeout_ms=30_000, cache_ttl_ms=1)
        async def look(event: HookEvent[Any]) -> Continue:
            self._asked.append(event)
            return Continue()

        return plugin

    def _doubter(self) -> Plugin:
        """Open, with conditions that are errors on most data; what it says is a warning."""
        plugin = Plugin("doubter", version="1.0.0")

        @plugin.hook(
            ">",
            phase="validate",
            name="hook",
            timeout_ms=30_000,
            on_failure="open",
            mode="warn",
            when=["data.a == 1 || event.subject == 'x' || size(data) > 1000", "data.text != 'b'"],
        )
        async def doubt(event: HookEvent[Any]) -> Block:
            notes = {f"note-{number}": event.id for number in range(32)}
            return Block(f"it is {event.id}", annotations=notes)

        return plugin


def _honest(random: Random, type_: str) -> hostile.Members:
    data = hostile.sane(random)
    if type_ == "message_received" or random.random() < 0.2:
        data = hostile.written([('"text"', '"hi"'), *_more(random)])
    members = [
        ('"specversion"', '"1.0"'),
        ('"id"', f'"{random.randrange(10**9)}"'),
        ('"source"', '"/fuzz"'),
        ('"type"', json.dumps(type_)),
        ('"data"', data if random.random() < 0.7 else hostile.value(random)),
    ]
    optional = {
        '"hbtimeoutms"': hostile.NUMBERS,
        '"hbdryrun"': ("true", "false", "null", "1"),
        '"hbchain"': ('"a,b"', '"validator"', '"a,a,a,a,a,a,a"', '","', '"A"', "[]", '""'),
        '"subject"': hostile.STRINGS,
        '"time"': ('"2026-01-01T00:00:00Z"', *hostile.STRINGS),
        '"traceparent"': (f'"00-{"a" * 32}-{"b" * 16}-01"', *hostile.STRINGS),
        '"datacontenttype"': ('"application/json"', '"text/plain"', *hostile.STRINGS),
        '"dataref"': ("null", '"x"'),
        '"ext"': (hostile.deep(random), hostile.value(random), *hostile.NUMBERS),
    }
    chosen = random.sample(sorted(optional), random.choice((0, 0, 1, 2)))
    members += [(name, random.choice(optional[name])) for name in chosen]
    return members


def _more(random: Random) -> hostile.Members:
    if random.random() < 0.5:
        return []
    return [('"secret"', hostile.string(random)), ('"a"', hostile.value(random))]


def _check_valid(body: bytes, subject: str) -> None:
    """What is decided must be an event by the letter of the protocol, as far as that is short."""

    def refuse(text: str) -> float:
        raise ValueError(f"{text} is not JSON")

    try:
        event = json.loads(body.decode(), parse_constant=refuse)
        json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as e:
        raise Finding(f"decided, but it is no JSON that a plugin can read: {e}") from e
    type_ = subject.split(".", 3)[3]
    is_event = isinstance(event, dict) and event.get("specversion") == "1.0"
    if not is_event or event.get("type") != type_ or not event.get("id"):
        raise Finding("decided, but it is no event of that type")
    timeout = event.get("hbtimeoutms")
    if timeout is not None and (isinstance(timeout, bool) or not timeout >= 10):
        raise Finding(f"decided with a timeout of {timeout!r}")
