"""Operators' requests: list, remove, approve, and what is wrong with a request (R24)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hookbus import Plugin, subjects
from hookbus.errors import ControlError
from hookbus.operations import request
from hookbus.registry.registry import Registry
from hookbus.registry.settings_changes import Source
from tests.flow.bus import Bus, calm_plugin
from tests.flow.scripted import SILENCE, Scripted, says, sends


async def test_list_shows_each_plugin_with_its_hooks_and_where_they_come_from(bus: Bus) -> None:
    plugin = Scripted("a", version="1.2.3", priority=7)
    hook = {"type": "tool_invoked", "phase": "validate"}
    await bus.start(plugin, plugins={"g": {"hooks": {"guard": hook}}})

    answer = await bus.control("list")

    assert answer["generation"] == await bus.served()
    a, g = answer["plugins"]
    assert (a["plugin"], a["version"], a["state"], a["problem"]) == ("a", "1.2.3", "bound", None)
    assert (g["plugin"], g["version"], g["state"], g["problem"]) == ("g", None, "bound", None)
    [hook_of_a], [hook_of_g] = a["hooks"], g["hooks"]
    assert (hook_of_a["name"], hook_of_a["phase"], hook_of_a["priority"]) == ("hook", "validate", 7)
    assert (hook_of_a["origin"], hook_of_g["origin"]) == ("announcement", "settings")


async def test_list_counts_the_replicas_that_answer(bus: Bus) -> None:
    await bus.start(Scripted("silent"))
    servers = [await bus.serve(calm_plugin("a")) for _ in range(2)]

    answer = await bus.control("list")

    a, silent = answer["plugins"]
    assert {r["instance"] for r in a["replicas"]} == {server.instance for server in servers}
    assert silent["replicas"] == []


async def test_a_dead_plugin_that_is_not_bound_vetoes_no_settings(bus: Bus) -> None:
    hook = {"type": "message_received", "phase": "validate"}
    named = {"g": {"hooks": {"guard": hook}}}
    await bus.start(mode="production", plugins=named, types={"note": {}})
    await bus.add(Scripted("dead", type="note"))

    tree = {"mode": "production", "plugins": named, "timeout_ms": 700}
    answer = await bus.control("apply", settings=tree)

    assert answer["generation"] > 0


async def test_a_removed_plugin_is_not_asked_although_it_is_broken(bus: Bus) -> None:
    broken = Scripted("a", SILENCE, type=">", timeout_ms=100)
    await bus.start(broken)
    blocked = await bus.emit()

    answer = await bus.control("remove", plugin="a")
    await bus.served()
    decision = await bus.emit()

    assert blocked.code == "timeout"
    assert answer["generation"] == decision.generation
    assert decision.outcome == "continue"
    assert len(broken.calls) == 1


async def test_a_removal_wins_over_new_announcements_until_it_is_approved(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"))
    await bus.start(plugin)
    await bus.control("remove", plugin="a")

    announced = await plugin.announce(version="9.0.0")
    await bus.served()
    removed = await bus.emit()
    await bus.control("approve", plugin="a")
    await bus.served()
    approved = await bus.emit()

    assert announced["state"] == "pending"
    assert "hookbus plugins approve a" in announced["problems"][0]["message"]
    assert (removed.outcome, approved.outcome) == ("continue", "block")


async def test_a_removal_wins_over_the_settings(bus: Bus) -> None:
    hook = {"type": "message_received", "phase": "validate"}
    await bus.start(mode="production", plugins={"g": {"hooks": {"guard": hook}}})

    await bus.control("remove", plugin="g")
    await bus.served()

    assert (await bus.emit()).outcome == "continue"


async def test_list_says_who_removed_a_plugin(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    await bus.control("remove", plugin="a")

    [plugin] = (await bus.control("list"))["plugins"]

    assert plugin["state"] == "pending"
    assert "removed by ops" in plugin["problem"]


async def test_approving_what_was_never_removed_changes_nothing(bus: Bus) -> None:
    hook = {"type": "tool_invoked", "phase": "validate"}
    await bus.start(Scripted("a"), plugins={"g": {"hooks": {"guard": hook}}})
    before = await bus.served()

    answers = [await bus.control("approve", plugin=name) for name in ("a", "g")]

    assert [answer["generation"] for answer in answers] == [before, before]


@pytest.mark.parametrize("operation", ["remove", "approve"])
async def test_a_plugin_that_nobody_knows_is_an_error_that_lists_the_known_ones(
    bus: Bus, operation: str
) -> None:
    await bus.start(Scripted("a"))

    with pytest.raises(ControlError, match=r"'nobody'.*known are: a") as refused:
        await bus.control(operation, plugin="nobody")

    assert (refused.value.code, refused.value.pointer) == ("unknown_plugin", "/plugin")


@pytest.mark.parametrize(
    ("operation", "members", "pointer"),
    [
        ("remove", {}, "/plugin"),
        ("remove", {"plugin": 5}, "/plugin"),
        ("remove", {"plugin": "No Name"}, "/plugin"),
        ("wait_generation", {"generation": "1"}, "/generation"),
        ("wait_generation", {"generation": -1}, "/generation"),
        ("wait_generation", {"generation": True}, "/generation"),
    ],
)
async def test_a_wrong_member_is_an_error_with_its_pointer(
    bus: Bus, operation: str, members: dict[str, Any], pointer: str
) -> None:
    await bus.start()

    with pytest.raises(ControlError) as refused:
        await bus.control(operation, **members)

    assert (refused.value.code, refused.value.pointer) == ("invalid_request", pointer)


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"[]", b"{}", b'{"v":2}', b"[" * 50_000, b'"\xff"']
)
async def test_garbage_as_a_request_is_answered_with_an_error(bus: Bus, body: bytes) -> None:
    await bus.start()

    reply = await bus.transport.request(subjects.control("ops", "list"), body, timeout=5.0)

    assert msgspec.json.decode(reply.data)["error"]["code"] == "invalid_request"


async def test_an_unknown_operation_is_an_error_that_lists_the_known_ones(bus: Bus) -> None:
    await bus.start()

    with pytest.raises(ControlError, match=r"list, remove, approve.*wait_generation") as refused:
        await bus.control("explode")

    assert refused.value.code == "unknown_operation"


async def test_without_a_registry_the_error_says_what_to_do(bus: Bus) -> None:
    with pytest.raises(ControlError, match="hookbus up") as refused:
        await bus.control("list")

    assert refused.value.code == "no_registry"


async def test_control_is_never_hooked(bus: Bus) -> None:
    nosy = Scripted("a", sends(b"garbage"), type=">")
    await bus.start(nosy)

    await bus.control("list")
    await bus.control("remove", plugin="a")

    assert nosy.calls == []


async def test_a_mode_request_without_a_mode_takes_nothing_back(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    await bus.control("mode", plugin="a", mode="shadow")

    with pytest.raises(ControlError, match="missing; expected a mode, or null") as error:
        await bus.control("mode", plugin="a")

    assert (error.value.code, error.value.pointer) == ("invalid_request", "/mode")
    [override] = (await bus.control("settings"))["overrides"]["modes"].values()
    assert override["mode"] == "shadow"


@pytest.mark.parametrize("principal", ["Ops", "1", "a_b", "a" * 64])
async def test_a_principal_that_is_no_name_is_refused(bus: Bus, principal: str) -> None:
    await bus.start()

    with pytest.raises(ControlError, match="principal: expected a name like"):
        await request(bus.transport, principal, "list")


async def test_an_override_that_is_over_is_forgotten_with_the_next_one(bus: Bus) -> None:
    now = 1_000.0
    await bus.start(Scripted("a"), Scripted("b"))
    registry = Registry(
        bus.registry_transport,
        await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET),
        await bus.engine.bucket(bus.transport, subjects.STATE_BUCKET),
        Source(),
        lambda: now,
    )
    await registry.set_mode("a", None, "shadow", 60, by="ops")
    now = 1_060.0

    made = await registry.set_mode("b", None, "warn", None, by="ops")
    registry.stop()

    assert set(made.state.overrides.modes) == {"b"}


async def test_list_shows_a_plugin_that_is_refused_and_why_while_it_is_up(bus: Bus) -> None:
    await bus.start()
    plugin = Plugin("a", version="1.0.0")
    plugin.hook("misspelt", phase="validate")(lambda event: None)
    server = await bus.serve(plugin)

    [found] = (await bus.control("list"))["plugins"]
    await server.stop()

    assert (found["plugin"], found["state"], found["hooks"]) == ("a", "refused", [])
    assert found["problem"].startswith("hooks[0].type: 'misspelt' is not a type of this bus")
    assert (await bus.control("list"))["plugins"] == []


async def test_list_says_that_a_replica_of_a_bound_plugin_is_refused(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await plugin.announce(hooks=[{**plugin.hook, "timeout_ms": 0}])
    [refused] = (await bus.control("list"))["plugins"]
    await plugin.announce()
    [bound] = (await bus.control("list"))["plugins"]

    assert (refused["state"], bound["state"]) == ("bound", "bound")
    assert refused["problem"] == "hooks[0].timeout_ms: expected 1 … 30000, got 0"
    assert bound["problem"] is None


async def test_nobody_keeps_the_others_waiting_by_asking_without_end(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    eve = await bus.connect("eve")
    flood = [asyncio.ensure_future(request(eve, "eve", "list")) for _ in range(200)]

    made = await bus.control("mode", plugin="a", mode="warn")
    answered = await asyncio.gather(*flood, return_exceptions=True)

    refused = [e for e in answered if isinstance(e, ControlError)]
    assert made["generation"] > 0
    assert {e.code for e in refused} == {"overloaded"}
    assert "16 requests of 'eve' are being carried out" in str(refused[0])
    assert len(answered) - len(refused) >= 16


async def test_list_says_which_bound_hook_the_plugin_does_not_serve(bus: Bus) -> None:
    """Its replicas are up, and all the same what it is asked there fails."""
    named = {"type": "message_received", "phase": "validate"}
    hooks = {"g": {"hooks": {"hook": named, "other": named}}}
    await bus.start(Scripted("g"), mode="production", plugins=hooks)

    [plugin] = (await bus.control("list"))["plugins"]

    assert {h["name"]: h["announced"] for h in plugin["hooks"]} == {"hook": True, "other": False}
