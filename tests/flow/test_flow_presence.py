"""Announcements, replicas, upgrades, goodbyes and crashes: who is bound, and for how long (R31)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookbus import Block, HookEvent, Plugin, subjects
from tests.flow.bus import Bus, calm_plugin
from tests.flow.scripted import Scripted, says


async def test_an_announcement_is_answered_with_the_generation_that_binds_it(bus: Bus) -> None:
    await bus.start()

    answer = await bus.add(Scripted("a"))

    assert answer["state"] == "bound"
    assert answer["generation"] == (await bus.emit()).generation
    assert answer["problems"] == []


@pytest.mark.parametrize(
    ("option", "at"),
    [
        ({"timeout_ms": 0}, "hooks[0].timeout_ms"),
        ({"timeout_ms": 3_600_000}, "hooks[0].timeout_ms"),
        ({"phase": "later"}, "hooks[0].phase"),
        ({"type": "No Type"}, "hooks[0].type"),
        ({"priority": 5_000}, "hooks[0].priority"),
        ({"on_failure": "maybe"}, "hooks[0].on_failure"),
    ],
)
async def test_a_hook_that_cannot_be_bound_is_refused_with_its_place(
    bus: Bus, option: dict[str, Any], at: str
) -> None:
    await bus.start()

    answer = await bus.add(Scripted("a", **option))

    assert answer["state"] == "refused"
    assert [problem["at"] for problem in answer["problems"]] == [at]


async def test_a_refused_announcement_leaves_what_was_bound_as_it_was(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"))
    await bus.start(plugin)
    generation = await bus.served()

    answer = await plugin.announce(version="2.0.0", hooks=[{**plugin.hook, "timeout_ms": 0}])

    assert answer["state"] == "refused"
    assert await bus.served() == generation
    assert (await bus.emit()).by == "a"


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"[]", b"{}", b'{"v":2}', b"[" * 50_000, b"\xff", b'{"v":1,"plugin":"b"}'],
)
async def test_garbage_as_an_announcement_is_refused_and_binds_nothing(
    bus: Bus, body: bytes
) -> None:
    await bus.start()
    generation = await bus.served()

    reply = await bus.transport.request(subjects.announce("a"), body, timeout=5.0)

    assert msgspec.json.decode(reply.data)["state"] == "refused"
    assert await bus.served() == generation


async def test_an_announcement_for_another_plugin_than_its_subjects_is_refused(bus: Bus) -> None:
    await bus.start()

    answer = await bus.add(Scripted("a"))
    forged = await bus.transport.request(
        subjects.announce("b"),
        b'{"v":1,"plugin":"a","version":"9.0.0","instance":"x","hooks":[]}',
        timeout=5.0,
    )

    assert answer["state"] == "bound"
    assert msgspec.json.decode(forged.data)["state"] == "refused"


@pytest.mark.parametrize("name", ["hookbus-registry", "hookbus-dispatcher", "anonymous"])
async def test_a_name_of_the_buss_own_is_refused(bus: Bus, name: str) -> None:
    await bus.start()

    answer = await bus.add(Scripted(name))

    assert answer["state"] == "refused"
    assert answer["problems"] == [
        {"at": "plugin", "message": f"{name!r} is a name of the bus's own; choose another"}
    ]


async def test_a_replica_with_the_same_hooks_makes_no_new_generation(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    before = await bus.served()
    replica = Scripted("a")
    replica.instance = "a-2"

    answer = await bus.add(replica)

    assert (answer["state"], answer["generation"]) == ("bound", before)


async def test_a_higher_version_with_other_hooks_is_an_upgrade(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    newer = Scripted("a", says("block", reason="new"), version="1.1.0", priority=5)
    newer.hook["name"] = "newer"

    answer = await bus.add(newer)
    decision = await bus.emit()

    assert answer["state"] == "bound"
    assert [(r.hook, r.version) for r in decision.records] == [("newer", "1.1.0")]


async def test_other_hooks_under_the_same_version_are_refused_while_another_instance_answers(
    bus: Bus,
) -> None:
    await bus.start()
    there = await bus.serve(calm_plugin("a"))
    before = await bus.served()

    answer = await bus.add(Scripted("a", priority=5))

    assert answer["state"] == "refused"
    assert there.instance in answer["problems"][0]["message"]
    assert "raise the version above 1.0.0" in answer["problems"][0]["message"]
    assert await bus.served() == before


async def test_other_hooks_under_the_same_version_are_bound_when_nobody_answers(bus: Bus) -> None:
    gone = Scripted("a")
    await bus.start(gone)
    await gone.vanish()

    answer = await bus.add(Scripted("a", says("block", reason="new"), priority=5))

    assert answer["state"] == "bound"
    assert (await bus.emit()).reason == "a: new"


async def test_a_clean_goodbye_of_the_last_replica_unbinds_the_plugin(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"))
    await bus.start(plugin)

    answer = await plugin.announce(goodbye=True, hooks=None)
    await bus.served()
    decision = await bus.emit()

    assert answer["state"] == "gone"
    assert decision.outcome == "continue"
    assert plugin.calls == []


async def test_a_goodbye_of_the_second_last_replica_leaves_the_plugin_bound(bus: Bus) -> None:
    leaving, staying = Scripted("a"), Scripted("a", says("block", reason="still here"))
    staying.instance = "a-2"
    await bus.start(leaving, staying)

    answer = await leaving.announce(goodbye=True, hooks=None)
    await leaving.vanish()
    decision = await bus.emit()

    assert answer["state"] == "gone"
    assert decision.reason == "a: still here"


async def test_the_goodbye_after_that_unbinds_it(bus: Bus) -> None:
    first, second = Scripted("a"), Scripted("a")
    second.instance = "a-2"
    await bus.start(first, second)

    for replica in (first, second):
        await replica.announce(goodbye=True, hooks=None)
        await replica.vanish()
    await bus.served()

    assert (await bus.emit()).records == ()


async def test_the_goodbye_of_an_upgrade_returns_to_what_the_old_replicas_announced(
    bus: Bus,
) -> None:
    old = Scripted("a", says("block", reason="old"))
    new = Scripted("a", version="9.0.0", priority=5)
    new.hook["name"], new.instance = "newer", "a-2"
    await bus.start(old, new)

    await new.announce(goodbye=True, hooks=None)
    await new.vanish()
    await bus.served()
    decision = await bus.emit()

    assert decision.reason == "a: old"
    assert [(r.hook, r.version) for r in decision.records] == [("hook", "1.0.0")]


async def test_an_old_replica_that_was_refused_beside_an_upgrade_is_bound_when_that_leaves(
    bus: Bus,
) -> None:
    await bus.start()
    newer, older = calm_plugin("a"), Plugin("a", version="1.0.0")
    newer.version = "9.0.0"

    @older.hook("message_received", phase="validate", name="older", timeout_ms=1_000)
    async def object_(event: HookEvent[Any]) -> Block:
        return Block("old")

    upgrade, rolled_back = await bus.serve(newer), await bus.serve(older)

    await upgrade.stop()
    await bus.served()

    assert rolled_back.answered is not None
    assert rolled_back.answered.state == "refused"
    assert (await bus.emit()).reason == "a: old"


async def test_nothing_returns_to_an_announcement_that_would_unbind_a_named_hook(bus: Bus) -> None:
    old, new = Scripted("a"), Scripted("a", version="9.0.0")
    new.hook["name"], new.instance = "newer", "a-2"
    await bus.start(old, new)
    named = {"mode": "production", "plugins": {"a": {"hooks": {"newer": {}}}}}
    await bus.control("apply", settings=named)

    await new.announce(goodbye=True, hooks=None)
    await bus.served()

    assert [record.hook for record in (await bus.emit()).records] == ["newer"]


async def test_a_goodbye_counts_a_replica_that_crashed_before_as_gone(bus: Bus) -> None:
    await bus.start()
    crashed = await bus.serve(calm_plugin("a"), can_cut=True)
    staying = await bus.serve(calm_plugin("a"))
    bus.cut(bus.connection_of(crashed))
    await bus.until(lambda: not bus.connection_of(crashed).is_connected)

    await staying.stop()
    await bus.served()

    assert (await bus.emit()).records == ()


async def test_a_crash_never_unbinds(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)

    await plugin.vanish()
    decision = await bus.emit()

    assert (decision.outcome, decision.code) == ("block", "no_responders")


async def test_a_plugin_that_the_settings_name_is_bound_in_production_before_it_was_ever_seen(
    bus: Bus,
) -> None:
    hook = {"type": "message_received", "phase": "validate"}
    await bus.start(mode="production", plugins={"g": {"hooks": {"guard": hook}}})

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "failure")
    assert (decision.by, decision.code) == ("g", "no_responders")
    assert decision.reason is not None
    assert "plugins remove" not in decision.reason  # the settings bind it, not its announcement


async def test_in_production_a_goodbye_unbinds_nothing(bus: Bus) -> None:
    plugin = Scripted("g")
    hook = {"type": "message_received", "phase": "validate"}
    await bus.start(plugin, mode="production", plugins={"g": {"hooks": {"hook": hook}}})

    await plugin.announce(goodbye=True, hooks=None)
    await plugin.vanish()
    await bus.served()

    assert (await bus.emit()).code == "no_responders"


async def test_in_production_an_upgrade_with_other_hooks_waits_for_an_operator(bus: Bus) -> None:
    plugin = Scripted("g", says("block", reason="no"))
    named = {"g": {"hooks": {"hook": {"type": "message_received", "phase": "validate"}}}}
    await bus.start(plugin, mode="production", plugins=named)
    upgrade = {**plugin.hook, "when": ["data.text == 'other'"]}

    answer = await plugin.announce(version="1.1.0", instance="g-2", hooks=[upgrade])
    await bus.served()
    before = await bus.emit()
    await bus.control("approve", plugin="g")
    await bus.served()
    after = await bus.emit()

    assert answer["state"] == "pending"
    assert "version 1.1.0 has other hooks than 1.0.0" in answer["problems"][0]["message"]
    assert "`hookbus plugins approve g`" in answer["problems"][0]["message"]
    assert (before.outcome, before.reason) == ("block", "g: no")
    assert (after.outcome, after.records[0].resolution) == ("continue", "skipped")


@pytest.mark.parametrize(("phase", "state"), [("validate", "bound"), ("mutate", "pending")])
async def test_an_upgrade_of_the_same_permissions_may_be_let_through(
    bus: Bus, phase: str, state: str
) -> None:
    plugin = Scripted("g")
    named = {"g": {"hooks": {"hook": {"type": "message_received", "phase": "validate"}}}}
    await bus.start(plugin, mode="production", upgrade="same_permissions", plugins=named)
    upgrade = {**plugin.hook, "timeout_ms": 300, "phase": phase}

    answer = await plugin.announce(version="1.1.0", instance="g-2", hooks=[upgrade])

    assert answer["state"] == state


async def test_in_production_a_plugin_that_nobody_named_is_pending_and_never_asked(
    bus: Bus,
) -> None:
    plugin = Scripted("g", says("block", reason="no"))
    await bus.start(mode="production")

    answer = await bus.add(plugin)
    decision = await bus.emit()

    assert answer["state"] == "pending"
    assert "[plugins.g.hooks" in answer["problems"][0]["message"]
    assert decision.outcome == "continue"


async def test_in_production_the_operators_word_on_failure_and_priority_stands(bus: Bus) -> None:
    plugin = Scripted("g", says("error"), on_failure="open", priority=-5)
    hook = {"type": "message_received", "phase": "validate"}
    await bus.start(plugin, mode="production", plugins={"g": {"hooks": {"hook": hook}}})

    decision = await bus.emit()

    assert (decision.outcome, decision.code) == ("block", "service_error")


async def test_the_settings_win_over_an_announcement(bus: Bus) -> None:
    plugin = Scripted("a", says("error"), on_failure="open")
    await bus.start(plugin, plugins={"a": {"hooks": {"hook": {"on_failure": "closed"}}}})

    assert (await bus.emit()).outcome == "block"


async def test_a_restart_of_the_registry_loses_no_binding(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"))
    await bus.start(plugin)
    before = await bus.served()
    await bus.registry_transport.close()

    await bus.start_registry()

    assert await bus.served() == before
    assert (await bus.emit()).by == "a"


async def test_a_dispatcher_that_comes_later_knows_what_is_bound(bus: Bus) -> None:
    await bus.start_registry()
    await bus.add(Scripted("a", says("block", reason="no")))

    await bus.start_dispatcher()

    assert (await bus.emit()).by == "a"


async def test_two_registries_at_once_lose_no_announcement(bus: Bus) -> None:
    await bus.start()
    await bus.start_registry()
    plugins = [Scripted(f"p{n}") for n in range(8)]

    answers = await bus.together(bus.add(plugin) for plugin in plugins)
    await bus.served()
    decision = await bus.emit()

    assert {answer["state"] for answer in answers} == {"bound"}
    assert [r.plugin for r in decision.records] == [plugin.name for plugin in plugins]
