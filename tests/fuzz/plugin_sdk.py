"""Calls, observed events and settings at the plugin SDK: what is a call is answered once."""

from __future__ import annotations

import json
from random import Random
from typing import Any, ClassVar

from hookbus.models import HookEvent, Intercept, MessageReceived
from hookbus.plugin import Plugin
from tests.flow.bus import Bus
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.target import Stranger
from tests.fuzz.watching import Finding, Watch

REPLIES = {"call": "hookbus.reply.d.c@.sdk", "observed": "$JS.ACK.HOOKBUS_OBSERVE.c.1.@.3.4.0"}
ODD_REPLIES = (
    *(
        "",
        "_INBOX.stranger.@",
        "hookbus.ctl.a.list",
        "$JS.ACK.@",
        "$JS.ACK.a.b.²@",
        "hookbus.reply.@",
    ),
    *(f"$JS.ACK.a.b.{'9' * 5_000}.1.2.3.@", "$JS.ACK._.h.s.c.-1.@.2.3.0.x"),
)


class PluginSdk:
    """A plugin of the SDK that objects to nothing, and whoever may write to its subjects."""

    name: ClassVar[str] = "plugin"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._watch = watch

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        kind = random.choice(("call", "call", "call", "observed", "config"))
        members = {"call": _call, "observed": _observed, "config": _config}[kind](random)
        if random.random() < 0.7:
            members = hostile.disturbed(random, members)
        body = hostile.damaged(random, hostile.written(members).encode("utf-8", "surrogatepass"))
        hook = random.choice(("plain", "model")) if kind == "call" else "watch"
        subject = "hookbus.config.sdk" if kind == "config" else f"hookbus.call.sdk.{hook}"
        reply = REPLIES.get(kind, "")
        if random.random() < 0.1:
            reply = random.choice(ODD_REPLIES)
        return {"subject": subject, "reply": reply, "body": parts(body)}

    async def start(self) -> None:
        await self._bus.start()
        await self._bus.serve(_plugin())
        self._stranger = Stranger(self._bus)

    async def feed(self, fed: Input) -> None:
        subject, reply = fed.fields["subject"], fed.get("reply", "")
        body = fed.data("body")
        answers = await self._stranger.ask(subject, body, None, reply)
        if len(answers) > 1:
            raise Finding(f"answered {len(answers)} times")
        if subject.endswith((".plain", ".model")):
            is_to_dispatcher = reply.startswith("hookbus.reply.")
            self._check_call(body, answers[0].data if answers else None, is_to_dispatcher)
        elif subject.endswith(".watch"):
            _check_observed(answers[0].data if answers else None, reply.startswith("$JS.ACK."))
        elif answers:
            raise Finding("answers to its configuration")
        await self._check_alive()

    def _check_call(self, body: bytes, answer: bytes | None, is_to_dispatcher: bool) -> None:
        call = _strictly(body)
        if answer is None:
            if is_to_dispatcher and _is_call(call):
                raise Finding(f"a call is not answered: {self._watch.warnings[:1]}")
            return
        verdict = json.loads(answer)
        if not is_to_dispatcher:
            raise Finding("a verdict went to no dispatcher")
        if isinstance(call, dict) and verdict["call"] != call.get("call"):
            raise Finding("a verdict for another call")
        if verdict["verdict"] not in ("intercept", "error") or verdict["plugin"] != "sdk":
            raise Finding(f"an honest handler, but {verdict}")

    async def _check_alive(self) -> None:
        event = {"id": "1", "source": "/s", "type": "t", "data": {"text": "hi"}}
        call = {"v": 1, "call": "alive", "plugin": "sdk", "hook": "model", "phase": "mutate"}
        body = json.dumps({**call, "timeout_ms": 100, "event": event}).encode()
        reply = "hookbus.reply.d.alive@.sdk"
        answers = await self._stranger.ask("hookbus.call.sdk.model", body, None, reply)
        if len(answers) != 1 or json.loads(answers[0].data)["verdict"] != "intercept":
            raise Finding("the plugin answers no more")


def _plugin() -> Plugin:
    plugin = Plugin("sdk", version="1.0.0")

    @plugin.hook("message_received", phase="mutate", name="plain")
    async def plain(event: HookEvent[Any]) -> Intercept:
        return Intercept(data=event.data)

    @plugin.hook("message_received", phase="mutate", name="model")
    async def model(event: HookEvent[MessageReceived]) -> Intercept:
        return Intercept(data=event.data)

    @plugin.hook("message_received", phase="observe", name="watch")
    async def watch(event: HookEvent[Any]) -> None:
        repr(event)

    @plugin.on_config
    def take(config: dict[str, Any]) -> None:
        repr(config)

    return plugin


def _event(random: Random) -> str:
    members = [
        ('"specversion"', '"1.0"'),
        ('"id"', '"1"'),
        ('"source"', '"/s"'),
        ('"type"', '"message_received"'),
        ('"data"', random.choice(('{"text":"hi"}', hostile.sane(random), hostile.value(random)))),
    ]
    if random.random() < 0.3:
        members.append(('"hbchain"', random.choice(('"a,b"', "5", "[]", "true", '""'))))
    return hostile.written(hostile.disturbed(random, members) if random.random() < 0.4 else members)


def _call(random: Random) -> hostile.Members:
    numbers = ("1", "1", "100", *hostile.NUMBERS)
    members = [
        ('"v"', "1"),
        ('"call"', random.choice(('"c"', '"c"', hostile.string(random)))),
        ('"attempt"', random.choice(numbers)),
        ('"round"', random.choice(numbers)),
        ('"plugin"', '"sdk"'),
        ('"hook"', '"plain"'),
        ('"phase"', '"mutate"'),
        ('"timeout_ms"', random.choice(("100", "100", *hostile.NUMBERS))),
        ('"generation"', random.choice(numbers)),
        ('"event"', _event(random)),
    ]
    if random.random() < 0.3:
        members.append(('"traceparent"', hostile.string(random)))
    return members


def _observed(random: Random) -> hostile.Members:
    return [
        ('"v"', "1"),
        ('"phase"', '"observe"'),
        ('"principal"', random.choice(('"chat"', '"sdk"', hostile.string(random)))),
        ('"event"', _event(random)),
        ('"decision"', random.choice(("null", hostile.value(random)))),
    ]


def _config(random: Random) -> hostile.Members:
    return [('"v"', "1"), ('"config"', random.choice(("{}", hostile.value(random))))]


def _check_observed(answer: bytes | None, is_to_stream: bool) -> None:
    if answer is None:
        if is_to_stream:
            raise Finding("an observed message is not answered")
        return
    if not is_to_stream:
        raise Finding("an acknowledgement went to no stream")
    if answer != b"+ACK" and not answer.startswith((b"-NAK ", b"+TERM ")):
        raise Finding(f"acknowledged with {answer[:80]!r}")


def _strictly(body: bytes) -> Any:
    """Decode what every JSON library can decode; anything else is None."""

    def refuse(text: str) -> float:
        raise ValueError(text)

    def object_(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a repeated key")
        return dict(pairs)

    try:
        found = json.loads(body.decode(), parse_constant=refuse, object_pairs_hook=object_)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return found


def _is_call(call: Any) -> bool:
    """By the letter: these members, of these kinds, and a timeout that is not over."""
    texts = ("call", "plugin", "hook", "phase")
    numbers = (
        "v",
        "timeout_ms",
        *(n for n in ("attempt", "round", "generation") if n in (call or ())),
    )
    return (
        isinstance(call, dict)
        and all(isinstance(call.get(name), str) for name in texts)
        and all(type(call.get(name)) is int for name in numbers)
        and isinstance(call.get("event"), dict)
        and isinstance(call.get("traceparent", ""), str)
        and 1 <= call["timeout_ms"] <= 30_000
    )
