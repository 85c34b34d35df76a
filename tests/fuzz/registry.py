"""Announcements and operators' requests: each is answered once, and the bus goes on as before."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any, ClassVar

from hookbus.models import HookEvent, Intercept
from hookbus.plugin import Plugin
from tests.flow.bus import Bus
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.settings_trees import tree
from tests.fuzz.target import Stranger, answer_of
from tests.fuzz.watching import Finding, Watch

NAMES = (*("fuzz",) * 30, "other", "keeper", *hostile.TOKENS)
CONDITIONS = (
    *("data.a == 1", "true", "1", "", "data.x.matches('(a+)+$')", "data.all(x, x > 1)", "nope"),
    *("event.nope == 1", "event.id == '1'", "has(data.a.b.c)", "//", "\0", "data" + ".a" * 500),
    *("(" * 40 + "1" + ")" * 40 + " == 1", "size(data) > 99999999999999999999", "[1][2] == 1"),
    *("1 / 0 == 1", "'" + "x" * 2_040 + "' == data", "x" * 2_049, "\U0001f600", "true ? 1 : 'a'"),
    *("data." + "x" * 1_000 + " == 1", "!" * 200 + "true", "timestamp(data) > timestamp('x')"),
)
OPERATIONS = (
    *("list", "remove", "approve", "mode", "mode", "apply", "apply", "apply", "apply", "settings"),
    *("wait_generation", "nope"),
)
STATES = ("bound", "pending", "refused", "gone")
MAX_ANSWER = 1024 * 1024  # bytes: what a broker takes by default


class Announcements:
    """Hostile announcements; an honest plugin was there before and must stay bound."""

    name: ClassVar[str] = "announcements"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        members = _announcement(random)
        if random.random() < 0.3:
            members = hostile.disturbed(random, members)
        body = hostile.damaged(random, hostile.written(members).encode("utf-8", "surrogatepass"))
        token = random.choice(NAMES)
        return {"subject": f"hookbus.announce.{token}", "body": parts(body)}

    async def start(self) -> None:
        await self._bus.start(types={"thing": {}})
        self._stranger = Stranger(self._bus)

    async def feed(self, fed: Input) -> None:
        subject, body = fed.fields["subject"], fed.data("body")
        answers = await self._stranger.ask(subject, body, None, "_INBOX.stranger.@")
        if subject.count(".") != 2:
            return  # not a subject of the registry
        answer, _ = answer_of(answers)
        if answer.get("state") not in STATES or not isinstance(answer.get("problems"), list):
            raise Finding(f"an announcement is answered {str(answer)[:300]}")
        if answer["state"] == "refused" and not answer["problems"]:
            raise Finding("refused without a reason")
        if len(answers[0].data) > MAX_ANSWER:
            raise Finding(f"answered with {len(answers[0].data)} bytes")
        await check_alive(self._bus)


class Control:
    """Hostile requests of an operator, and hostile answers to what the registry asks others."""

    name: ClassVar[str] = "control"

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._presence = b"{}"

    @staticmethod
    def make(random: Random) -> dict[str, Any]:
        operation, members = random.choice(OPERATIONS), [('"v"', "1")]
        members += _request(random, operation)
        if random.random() < 0.3:
            members = hostile.disturbed(random, members)
        body = hostile.damaged(random, hostile.written(members).encode("utf-8", "surrogatepass"))
        presence = hostile.written(hostile.disturbed(random, _presence(random)))
        return {
            "subject": f"hookbus.ctl.{random.choice(('ops', 'ops', *NAMES))}.{operation}",
            "body": parts(body),
            "presence": parts(presence.encode("utf-8", "surrogatepass")),
        }

    async def start(self) -> None:
        await self._bus.start(types={"thing": {}})
        self._stranger = Stranger(self._bus)
        await self._stranger.answer("$SRV.*.*", lambda: self._presence)
        await self._bus.serve(_marking_plugin())

    async def feed(self, fed: Input) -> None:
        self._presence = fed.data("presence") if fed.get("presence") else b"{}"
        subject = fed.fields["subject"]
        try:
            answers = await self._stranger.ask(subject, fed.data("body"), None, "_INBOX.stranger.@")
        finally:
            self._presence = b"{}"
        if subject.count(".") != 3:
            return
        answer, _ = answer_of(answers)
        if "error" in answer and set(answer["error"]) != {"code", "message", "pointer"}:
            raise Finding(f"refused with {answer['error']}")
        if len(answers[0].data) > MAX_ANSWER:
            raise Finding(f"answered with {len(answers[0].data)} bytes")
        await check_alive(self._bus)


async def check_alive(bus: Bus) -> None:
    """The dispatchers serve what the registry wrote, and an event can be decided.

    Raises:
        Finding: They do not, or it cannot.
    """
    made = await bus.registry.settings.refresh()
    try:
        async with asyncio.timeout(1):
            await bus.until(lambda: bus.dispatcher.ingress.generation >= made.generation)
    except TimeoutError:
        raise Finding(f"generation {made.generation} is not served") from None
    stranger = Stranger(bus)
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "thing"}
    body = json.dumps({**event, "data": {"a": 1}, "hbtimeoutms": 10}).encode()
    answers = await stranger.ask("hookbus.emit.a.thing", body, None, "_INBOX.alive")
    await stranger.close()
    answer, _ = answer_of(answers)
    if answer.get("error", {}).get("code") == "unavailable":
        raise Finding(f"no event can be decided any more: {answer}")


def _marking_plugin() -> Plugin:
    plugin = Plugin("fuzz", version="1.0.0")

    @plugin.hook("thing", phase="mutate", name="hook")
    async def mark(event: HookEvent[Any]) -> Intercept:
        return Intercept(data={"a": 1, "seen": True})

    return plugin


def _announcement(random: Random) -> hostile.Members:
    name = random.choice(NAMES)
    hooks = [_hook(random) for _ in range(random.choice((1, 1, 1, 2, 4)))]
    if random.random() < 0.03:
        hooks = [_hook(random)] * random.choice((255, 256, 257, 3_000))
    members = [
        ('"v"', "1"),
        ('"plugin"', json.dumps(name)),
        (
            '"version"',
            random.choice(('"1.0.0"', '"1.0.0"', '"2.0.0"', '"1.0"', hostile.string(random))),
        ),
        ('"instance"', random.choice(('"i"', '"j"', hostile.string(random)))),
        ('"hooks"', "[" + ",".join(hooks) + "]"),
    ]
    if random.random() < 0.1:
        members.append(('"goodbye"', random.choice(("true", "false", "1"))))
    if random.random() < 0.1:
        members.append(('"candidate_of"', json.dumps(random.choice(NAMES))))
    return members


def _hook(random: Random) -> str:
    name = random.choice((*(f"h{number}" for number in range(60)), *hostile.TOKENS))
    type_ = random.choice(
        ("thing",) * 9 + ("message_received", "a.*", ">", ">", "*", "a..b", "nope")
    )
    members = [
        ('"name"', json.dumps(name)),
        ('"type"', json.dumps(type_)),
        ('"phase"', random.choice(('"mutate"', '"validate"', '"validate"', '"observe"'))),
    ]
    pointers = json.dumps([hostile.pointer(random) for _ in range(2)])
    options = {
        '"priority"': hostile.NUMBERS,
        '"timeout_ms"': ("1", "100", *hostile.NUMBERS),
        '"min_ms"': hostile.NUMBERS,
        '"cache_ttl_ms"': hostile.NUMBERS,
        '"max_extension_ms"': hostile.NUMBERS,
        '"retry"': hostile.NUMBERS,
        '"max_reply_bytes"': hostile.NUMBERS,
        '"on_failure"': ('"open"', '"closed"', '"maybe"'),
        '"mode"': ('"enforce"', '"warn"', '"shadow"', '"off"', "0"),
        '"when"': tuple(json.dumps([each]) for each in CONDITIONS),
        '"writable"': (pointers, "[]", '["/a"]', '"/a"'),
        '"rewrites"': (pointers,),
        '"cache_key"': (pointers,),
        '"reinvoke"': ('"if_needed"', '"always"'),
        '"side_effects"': ('"some"', '"none_on_dry_run"'),
    }
    chosen = random.sample(sorted(options), random.choice((0, 1, 1, 2, 4)))
    members += [(option, random.choice(options[option])) for option in chosen]
    return hostile.written(hostile.disturbed(random, members) if random.random() < 0.2 else members)


def _request(random: Random, operation: str) -> hostile.Members:
    members: hostile.Members = []
    if operation in ("remove", "approve", "mode"):
        members.append(('"plugin"', json.dumps(random.choice(NAMES))))
    if operation == "mode":
        members.append(('"mode"', random.choice(('"shadow"', '"off"', "null", "null", '"none"'))))
        members.append(('"hook"', random.choice(('"hook"', "null", "null", '"x"', "1"))))
        members.append(('"for_s"', random.choice(("1", "0", *hostile.NUMBERS))))
    elif operation == "wait_generation":
        members.append(('"generation"', random.choice(("1", "2", *hostile.NUMBERS))))
        members.append(('"timeout_ms"', random.choice(("100", "0", *hostile.NUMBERS))))
    elif operation == "apply":
        members.append(('"settings"', tree(random)))
        members.append(('"dry_run"', random.choice(("true", "false", "false"))))
    return members


def _presence(random: Random) -> hostile.Members:
    data = hostile.written([('"generation"', random.choice(hostile.NUMBERS))])
    endpoint = hostile.written([('"data"', random.choice((data, hostile.value(random))))])
    return [
        ('"id"', hostile.string(random)),
        ('"name"', '"x"'),
        ('"version"', '"1.0.0"'),
        ('"endpoints"', random.choice((f"[{endpoint}]", hostile.value(random)))),
    ]
