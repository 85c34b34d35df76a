"""The messages of docs/protocol.md, said on a real bus: it answers what the page shows."""

from __future__ import annotations

import asyncio
import itertools
import json
import shlex
from typing import Any

import pytest
from nats.aio.msg import Msg

from tests.docs.bus import SOON, Bus, OnBus
from tests.docs.page import Page, settled

#: Labels whose blocks are no answer of the bus: they are sent by the conversation, or run.
SENT = {"event", "binary", "announcement", "goodbye", "verdicts", "ping"}
SENT |= {"first-emit"}
PURE = {"data", "credentials", "info", "stats"}
PROGRAMS = {"emitter", "plugin"}
HEARD = ["decision", "refusal", "notified", "announcement-answers", "call", "config", "observed"]
HEARD += ["ctl", "shadow", "input", "stats-data", "registry-stats-data"]


class Outsider:
    """Plays the page's plugin on bare NATS, with the verdict that it is told."""

    def __init__(self, bus: Bus, page: Page) -> None:
        self.bus = bus
        self.page = page
        self.verdict: dict[str, Any] = page.values("verdicts")[0]
        self.calls: list[dict[str, Any]] = []
        self.ids = itertools.count()
        self.observed: asyncio.Queue[Msg] = asyncio.Queue()
        self.configs: asyncio.Queue[Msg] = asyncio.Queue()

    async def subscribe(self) -> None:
        client = self.bus.client
        await client.subscribe(
            "hookbus.call.no-secrets.message-received", queue="no-secrets", cb=self._on_call
        )
        await client.subscribe("hookbus.call.diary.all", queue="diary", cb=self.observed.put)
        await client.subscribe("hookbus.config.no-secrets", cb=self.configs.put)
        await client.subscribe("$SRV.PING.no-secrets", cb=self._on_ping)
        await client.flush()
        await client.flush()

    async def announce(self, **members: Any) -> Any:
        body = self.page.value("announcement") | members
        return await self.bus.ask("hookbus.announce.no-secrets", body)

    async def emit(self, **members: Any) -> Msg:
        # an id that was used before would get the decision of then
        event = self.page.value("event") | {"id": str(next(self.ids))} | members
        return await self.bus.request("hookbus.emit.chat.message_received", event)

    async def next(self, queue: asyncio.Queue[Msg]) -> Msg:
        async with asyncio.timeout(SOON):
            return await queue.get()

    async def _on_call(self, message: Msg) -> None:
        call = json.loads(message.data)
        self.calls.append(call)
        await message.respond(json.dumps(self.verdict | {"call": call["call"]}).encode())

    async def _on_ping(self, message: Msg) -> None:
        await message.respond(json.dumps(self.page.value("ping")).encode())


async def converse(bus: Bus, page: Page) -> dict[str, Any]:
    """Say what the page says, and return what was heard, by the labels of its blocks."""
    outsider = Outsider(bus, page)
    await outsider.subscribe()
    bound = await outsider.announce()
    await bus.serve(bound)
    heard: dict[str, Any] = {"refusal": await outsider.emit(data={"text": 5})}
    headers, body = page.message("binary")
    await bus.request("hookbus.emit.chat.message_received", body, headers)
    heard["call"] = outsider.calls[-1]
    outsider.verdict = page.values("verdicts")[4]
    heard["decision"] = json.loads((await outsider.emit()).data)
    heard["input"] = await leave_an_input(bus, outsider)
    heard |= await observe(bus, outsider)
    heard["shadow"] = await cast_a_shadow(bus, outsider)
    heard["ctl"], pending = await operate(outsider)
    await apply_config(bus, page.value("config")["config"])
    heard["config"] = json.loads((await outsider.next(outsider.configs)).data)
    hook = page.value("announcement")["hooks"][0]
    refused = await outsider.announce(hooks=[hook | {"timeout_ms": 0}])
    gone = await bus.ask("hookbus.announce.no-secrets", page.value("goodbye"))
    heard["announcement-answers"] = [bound, pending, refused, gone]
    for label, role in (("stats-data", "dispatcher"), ("registry-stats-data", "registry")):
        stats = await bus.ask(f"$SRV.STATS.hookbus-{role}", b"")
        heard[label] = stats["endpoints"][0]["data"]
    return heard


async def observe(bus: Bus, outsider: Outsider) -> dict[str, Any]:
    """Be an observer of one notified event."""
    event = {"specversion": "1.0", "id": "42", "source": "/chat", "type": "message_received"}
    subject = "hookbus.notify.chat.message_received"
    body = event | {"data": {"text": "hi"}}
    await announce_diary(bus)
    notified = await bus.ask(subject, body)
    message = await outsider.next(outsider.observed)
    await message.respond(b"+ACK")
    goodbye = {"v": 1, "plugin": "diary", "version": "1.0.0", "instance": "d", "goodbye": True}
    await bus.ask("hookbus.announce.diary", goodbye)
    return {"notified": notified, "observed": json.loads(message.data)}


async def cast_a_shadow(bus: Bus, outsider: Outsider) -> Any:
    """Be asked in mode shadow, and put back into the mode of before."""
    shadows: asyncio.Queue[Msg] = asyncio.Queue()
    await bus.client.subscribe("hookbus.decision.shadow.>", cb=shadows.put)
    await bus.client.flush()
    for mode in ("shadow", None):
        request = {"v": 1, "plugin": "no-secrets", "mode": mode}
        await bus.serve(await bus.ask("hookbus.ctl.ops.mode", request))
        if mode is not None:
            await outsider.emit()
    return json.loads((await outsider.next(shadows)).data)


async def leave_an_input(bus: Bus, outsider: Outsider) -> Any:
    """Emit an event, and hear how it is kept."""
    inputs: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.client.subscribe("hookbus.input.>", cb=inputs.put)
    await bus.client.flush()
    await outsider.emit()
    message = await outsider.next(inputs)
    await subscription.unsubscribe()
    return json.loads(message.data)


async def announce_diary(bus: Bus) -> None:
    hook = {"name": "all", "type": ">", "phase": "observe"}
    body = {"v": 1, "plugin": "diary", "version": "1.0.0", "instance": "d", "hooks": [hook]}
    await bus.serve(await bus.ask("hookbus.announce.diary", body))


async def apply_config(bus: Bus, config: dict[str, Any]) -> None:
    request = {"v": 1, "settings": {"plugins": {"no-secrets": {"config": config}}}}
    assert "error" not in await bus.ask("hookbus.ctl.ops.apply", request)


async def operate(outsider: Outsider) -> tuple[list[Any], Any]:
    """Ask what the page asks, and what a plugin hears that an operator has removed."""
    answers: list[Any] = []
    pending = None
    for subject, request, _ in outsider.page.exchanges("ctl"):
        if "generation" in request:  # not the number of the page's own story
            request["generation"] = max(answer.get("generation") or 0 for answer in answers)
        answers.append(await outsider.bus.ask(subject, request))
        if subject.endswith(".remove") and pending is None:
            pending = await outsider.announce()
    return answers, pending


@pytest.fixture(scope="module")
def heard(on_bus: OnBus, page: Page) -> dict[str, Any]:
    return on_bus(lambda bus: converse(bus, page))


def test_every_code_block_of_the_page_is_tested(page: Page) -> None:
    assert page.blocks.keys() == {*SENT, *PURE, *PROGRAMS, *HEARD}
    assert page.text.count("```") == 2 * len(page.blocks)


@pytest.mark.parametrize("label", [label for label in HEARD if label != "refusal"])
def test_the_bus_says_what_the_page_shows(label: str, heard: dict[str, Any], page: Page) -> None:
    said = heard[label] if isinstance(heard[label], list) else [heard[label]]

    shown = [e[2] for e in page.exchanges(label)] if label == "ctl" else page.values(label)
    assert settled(said) == settled(shown)


def test_the_bus_refuses_as_the_page_shows(heard: dict[str, Any], page: Page) -> None:
    headers, body = page.message("refusal")

    assert heard["refusal"].headers == headers
    assert json.loads(heard["refusal"].data) == json.loads(body)


def test_each_verdict_of_the_page_leads_to_its_decision(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> list[tuple[str, str | None, Any]]:
        outsider, decisions = Outsider(bus, page), []
        await outsider.subscribe()
        await bus.serve(await outsider.announce())
        for outsider.verdict in page.values("verdicts"):
            decisions.append(json.loads((await outsider.emit()).data))
        return [(d["outcome"], d["code"], d.get("data")) for d in decisions]

    clean = {"text": "my key is [redacted]", "user": "u1"}
    assert on_bus(scenario) == [
        ("continue", None, None),
        ("intercept", None, clean),
        ("intercept", None, clean),
        ("intercept", None, clean),
        ("block", "secret_found", None),
        ("block", "service_error", None),
        ("block", "overloaded", None),
        ("block", "timeout", None),  # more time is granted to those who may ask for it
    ]


def test_the_first_command_of_the_page_gets_a_decision(on_bus: OnBus, page: Page) -> None:
    tool, verb, subject, body = shlex.split(page.blocks["first-emit"].replace("\\\n", ""))

    decision = on_bus(lambda bus: bus.ask(subject, body.encode()))

    assert (tool, verb) == ("nats", "request")
    assert decision["outcome"] == "continue"


def test_an_observed_message_comes_again_until_it_is_acknowledged(
    on_bus: OnBus, page: Page
) -> None:
    async def scenario(bus: Bus) -> list[Any]:
        outsider, messages = Outsider(bus, page), []
        await outsider.subscribe()
        await announce_diary(bus)
        decision = json.loads((await outsider.emit()).data)
        for answer in (b"-NAK", b'-NAK {"delay": 1000000}', b"+ACK"):
            messages.append(await outsider.next(outsider.observed))
            await messages[-1].respond(answer)
        assert {message.subject for message in messages} == {"hookbus.observe.message_received"}
        assert all(message.reply.startswith("$JS.ACK.") for message in messages)
        return [json.loads(message.data)["decision"] == decision for message in messages]

    assert on_bus(scenario) == [True, True, True]


def test_every_decision_is_published_without_data(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> tuple[str, Any, Any]:
        outsider = Outsider(bus, page)
        await outsider.subscribe()
        await bus.serve(await outsider.announce())
        log: asyncio.Queue[Msg] = asyncio.Queue()
        await bus.client.subscribe("hookbus.decision.>", cb=log.put)
        outsider.verdict = page.values("verdicts")[1]
        decision = json.loads((await outsider.emit()).data)
        recorded = await outsider.next(log)
        return recorded.subject, json.loads(recorded.data), decision

    subject, recorded, decision = on_bus(scenario)

    assert subject == "hookbus.decision.intercept.message_received"
    assert decision.pop("data") == {"text": "my key is [redacted]", "user": "u1"}
    assert recorded == decision


def test_a_dry_run_is_decided_and_never_observed(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> tuple[Any, Any, str]:
        outsider = Outsider(bus, page)
        await outsider.subscribe()
        await announce_diary(bus)
        dry = json.loads((await outsider.emit(hbdryrun=True)).data)
        event = page.value("event") | {"hbdryrun": True}
        notified = await bus.ask("hookbus.notify.chat.message_received", event)
        await outsider.emit(id="not dry")
        first = json.loads((await outsider.next(outsider.observed)).data)
        return dry["dry_run"], notified, first["event"]["id"]

    assert on_bus(scenario) == (True, {"v": 1, "stored": False}, "not dry")


def test_an_event_that_comes_again_gets_the_same_decision(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> list[Any]:
        outsider = Outsider(bus, page)
        same, other = {"id": "7"}, {"id": "7", "data": {"text": "other"}}
        return [json.loads((await outsider.emit(**e)).data) for e in (same, same, other)]

    first, again, other = on_bus(scenario)

    assert again == first
    assert (other["outcome"], other["cause"], other["code"]) == ("block", "config", "id_reuse")


def test_the_page_names_every_operation_of_the_registry(on_bus: OnBus, page: Page) -> None:
    known = ", ".join(row[0].strip("`") for row in page.rows("operation"))

    answer = on_bus(lambda bus: bus.ask("hookbus.ctl.ops.nonsense", {"v": 1}))

    assert answer["error"]["code"] == "unknown_operation"
    assert answer["error"]["message"] == f"expected one of {known}, got 'nonsense'"


def test_settings_are_shown_with_key_value_and_origin(on_bus: OnBus) -> None:
    shown = on_bus(lambda bus: bus.ask("hookbus.ctl.ops.settings", {"v": 1}))

    assert {"key": "timeout_ms", "value": 1000, "origin": "default"} in shown.pop("settings")
    assert shown == {
        "v": 1,
        "generation": shown["generation"],
        "overrides": {"removed": {}, "modes": {}, "approved": {}},
        "owner": None,
        "applied": True,
    }


def test_who_was_removed_for_a_time_says_until_when(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> Any:
        await Outsider(bus, page).announce()
        request = {"v": 1, "plugin": "no-secrets", "for_s": 3600}
        await bus.ask("hookbus.ctl.ops.remove", request)
        return await bus.ask("hookbus.ctl.ops.settings", {"v": 1})

    removal = on_bus(scenario)["overrides"]["removed"]["no-secrets"]

    assert removal.keys() == {"by", "at", "until"}
    assert isinstance(removal["until"], float)


def test_a_time_is_refused_where_none_is_needed(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> Any:
        await Outsider(bus, page).announce()
        request = {"v": 1, "plugin": "no-secrets", "for_s": 3600}
        return await bus.ask("hookbus.ctl.ops.approve", request)

    error = on_bus(scenario)["error"]

    assert (error["code"], error["pointer"]) == ("invalid_request", "/for_s")


def test_dispatchers_hear_that_a_plugin_announced_itself(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> tuple[str, Any]:
        told: asyncio.Queue[Msg] = asyncio.Queue()
        await bus.client.subscribe("_INBOX.dispatcher.announced.*", cb=told.put)
        await bus.client.flush()
        outsider = Outsider(bus, page)
        await outsider.announce()
        message = await outsider.next(told)
        return message.subject, json.loads(message.data)

    assert on_bus(scenario) == (
        "_INBOX.dispatcher.announced.no-secrets",
        {"v": 1, "announced": True},
    )


def test_what_cannot_be_read_is_refused_as_an_announcement(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> list[Any]:
        later = {**page.value("announcement"), "v": 2}
        return [await bus.ask("hookbus.announce.no-secrets", body) for body in (b"{", later)]

    broken, later = on_bus(scenario)

    assert (broken["state"], later["state"]) == ("refused", "refused")
    assert later["problems"] == [{"at": "v", "message": "expected 1, got 2"}]


def test_a_candidate_is_bound_in_shadow(on_bus: OnBus, page: Page) -> None:
    async def scenario(bus: Bus) -> Any:
        await Outsider(bus, page).announce(candidate_of="another")
        return await bus.ask("hookbus.ctl.ops.list", {"v": 1})

    [plugin] = on_bus(scenario)["plugins"]

    assert [hook["mode"] for hook in plugin["hooks"]] == ["shadow"]
