"""Who owns the settings, who may change them, and what holds over restarts and bad files."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hookbus import subjects
from hookbus.config.settings import parse_settings
from hookbus.errors import ControlError, SettingsError
from hookbus.registry.settings_changes import Source
from hookbus.snapshot import encode_document
from tests.flow.bus import Bus
from tests.flow.owned import FILE, GUARD, UNBINDABLE, another, from_file, start
from tests.flow.scripted import Scripted, says


async def test_an_empty_bus_waits_for_settings_and_decides_nothing(bus: Bus) -> None:
    await start(bus, Source())

    answer = await bus.add(Scripted("g"))
    before = await bus.emit()
    said = await bus.control("settings")
    await bus.control("apply", settings={"plugins": GUARD})
    await bus.served()
    after = await bus.emit()

    assert (before.outcome, before.code) == ("block", "not_ready")
    assert (answer["state"], answer["generation"]) == ("pending", 0)
    assert "no settings are applied yet" in answer["problems"][0]["message"]
    assert (said["applied"], said["generation"]) == (False, 0)
    assert (after.outcome, [r.plugin for r in after.records]) == ("continue", ["g"])


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("apply", {"settings": {"timeout_ms": 900}}),
        ("rollback", {"generation": 1}),
        ("approve", {"plugin": "g"}),
        ("approve", {"plugin": "stranger"}),
    ],
)
async def test_where_a_file_owns_the_settings_others_are_refused_and_told_of_it(
    bus: Bus, operation: str, members: dict[str, Any]
) -> None:
    await start(bus, Source(from_file(plugins=GUARD), FILE))
    await bus.add(Scripted("stranger"))
    before = await bus.control("list")

    with pytest.raises(ControlError) as refused:
        await bus.control(operation, **members)

    assert refused.value.code == "owned"
    assert f"{FILE} owns the settings" in str(refused.value)
    assert await bus.control("list") == before
    assert (await bus.control("settings"))["owner"] == FILE


async def test_an_owner_leaves_the_operator_what_an_emergency_needs(bus: Bus) -> None:
    await start(bus, Source(from_file(plugins=GUARD), FILE))
    await bus.add(Scripted("g", says("block", reason="no")))

    await bus.control("mode", plugin="g", mode="warn")
    await bus.served()
    warned = await bus.emit()
    await bus.control("mode", plugin="g", mode=None)
    await bus.control("remove", plugin="g")
    await bus.served()
    removed = await bus.emit()
    await bus.control("approve", plugin="g")  # what the file says holds again
    await bus.served()
    back = await bus.emit()

    assert [d.outcome for d in (warned, removed, back)] == ["continue", "continue", "block"]


async def test_an_owner_that_is_gone_owns_nothing_any_more(bus: Bus) -> None:
    await start(bus, Source(from_file(timeout_ms=900), FILE))
    successor = await another(bus)

    await successor.settings.begin(is_owned_elsewhere=True)
    kept = await bus.control("settings")
    await successor.settings.begin()
    await bus.control("apply", settings={"timeout_ms": 800})

    values = {r["key"]: r["value"] for r in (await bus.control("settings"))["settings"]}
    assert kept["owner"] == FILE
    assert values["timeout_ms"] == 800


async def test_a_changed_file_is_in_force_and_a_bad_one_leaves_in_force_what_is(bus: Bus) -> None:
    registry = await start(bus, Source(from_file(), FILE))
    before = await bus.served()

    await registry.settings.adopt(from_file(plugins=GUARD))
    changed = await bus.served()
    with pytest.raises(SettingsError, match=r"plugins\.g\.hooks\.hook\.type: missing"):
        await registry.settings.adopt(from_file(plugins=UNBINDABLE))

    assert changed > before
    assert await bus.served() == changed
    assert (await bus.emit()).code == "no_responders"
    assert (await bus.control("settings"))["owner"] == FILE


async def test_equal_settings_change_nothing_whoever_applies_them(bus: Bus) -> None:
    await start(bus, Source())
    first = await bus.control("apply", settings={"plugins": GUARD, "timeout_ms": 900})

    again = await bus.control("apply", settings={"timeout_ms": 900, "plugins": GUARD})

    assert again["difference"] == []
    assert again["generation"] == first["generation"]
    assert len((await bus.control("history"))["history"]) == 1


async def test_settings_that_no_dispatcher_reads_make_a_generation_too(bus: Bus) -> None:
    """Who changed a plugin's configuration, and when, must be found as well."""
    await start(bus, Source())
    await bus.control("apply", settings={"plugins": GUARD})

    with_config = {"g": {**GUARD["g"], "config": {"pattern": "x"}}}
    await bus.control("apply", settings={"plugins": with_config})

    newest = (await bus.control("history"))["history"][0]
    assert newest["changes"] == [
        {"key": "plugins.g.config", "before": None, "after": {"pattern": "x"}}
    ]


async def test_an_approved_plugin_is_bound_as_it_is_but_for_what_is_the_operators(
    bus: Bus,
) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={})
    await bus.add(Scripted("g", says("error"), on_failure="open", priority=-5))

    await bus.control("approve", plugin="g")
    await bus.served()
    decision = await bus.emit()

    [plugin] = (await bus.control("list"))["plugins"]
    assert (decision.outcome, decision.code) == ("block", "service_error")
    assert plugin["hooks"][0]["origin"] == "approval"
    assert plugin["hooks"][0]["priority"] == 100


async def test_an_approved_plugins_upgrade_with_other_hooks_waits_as_well(bus: Bus) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={})
    plugin = Scripted("g")
    await bus.add(plugin)
    await bus.control("approve", plugin="g")

    other = {**plugin.hook, "name": "other"}
    answer = await plugin.announce(version="2.0.0", instance="g-2", hooks=[other])

    assert answer["state"] == "pending"
    assert "`hookbus plugins approve g`" in answer["problems"][0]["message"]


@pytest.mark.parametrize("operation", ["approve", "remove"])
async def test_approvals_and_removals_may_end_by_themselves(
    memory_bus: Bus, operation: str
) -> None:
    bus = memory_bus
    await bus.host_registry(Source(), bus.now)
    await bus.start_dispatcher()
    plugins = {} if operation == "approve" else GUARD
    await bus.control("apply", settings={"plugins": plugins})
    await bus.add(Scripted("g", says("block", reason="no")))

    await bus.control(operation, plugin="g", for_s=60)
    await bus.served()
    during = await bus.emit()
    await asyncio.sleep(61)
    await bus.served()
    after = await bus.emit()

    outcomes = [during.outcome, after.outcome]
    assert outcomes == (["block", "continue"] if operation == "approve" else ["continue", "block"])
    assert (await bus.control("history"))["history"][0]["what"] == "an override ended"


async def test_two_registries_at_once_lose_no_override_and_no_announcement(bus: Bus) -> None:
    names = [f"p{number}" for number in range(6)]
    await bus.start(*(Scripted(name) for name in names))
    second = await another(bus)
    firsts = (bus.registry.set_mode(n, None, "warn", None, "ops") for n in names[::2])
    seconds = (second.set_mode(n, None, "shadow", None, "eve") for n in names[1::2])

    await asyncio.gather(*firsts, *seconds, *(bus.add(Scripted(f"late{n}")) for n in range(4)))

    listed = (await bus.control("list"))["plugins"]
    modes = {p["plugin"]: p["hooks"][0]["mode"] for p in listed}
    assert [modes[n] for n in names] == ["warn", "shadow"] * 3
    assert {"late0", "late1", "late2", "late3"} <= modes.keys()


async def test_a_broker_that_came_back_empty_gets_the_applied_settings_again(bus: Bus) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={"timeout_ms": 900})
    config = await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET)
    await config.delete(subjects.CONFIG_KEY)

    shown = await bus.control("settings")

    assert {r["key"]: r["value"] for r in shown["settings"]}["timeout_ms"] == 900
    assert await config.get(subjects.CONFIG_KEY) is not None


async def test_applied_settings_that_cannot_be_read_serve_on_until_others_are_applied(
    bus: Bus,
) -> None:
    """Another version of the bus wrote them; what the dispatchers have must not become less."""
    await start(bus, Source())
    await bus.control("apply", settings={"plugins": GUARD})
    generation = await bus.served()
    config = await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET)
    assert bus.registry.configuration.current is not None
    document = bus.registry.configuration.current.document
    unknown = msgspec.Raw(b'{"tree":{"unknown":1},"source":"tomorrow"}')
    await config.update(
        subjects.CONFIG_KEY,
        encode_document(msgspec.structs.replace(document, settings=unknown)),
        generation,
    )

    listed = await bus.control("list")
    await bus.until(lambda: bus.dispatcher.ingress.generation == generation + 1)
    decision = await bus.emit()
    problem = bus.registry.configuration.problem
    await bus.control("apply", settings={})

    assert problem is not None
    assert "the applied settings cannot be read: tomorrow: unknown: " in problem
    assert listed["generation"] == generation + 1
    assert decision.code == "no_responders"  # the guard is still asked
    assert bus.registry.configuration.problem is None


async def test_in_development_what_was_applied_stays_until_the_file_says_something_else(
    bus: Bus,
) -> None:
    """A development bus is stopped and started all day, and its file owns nothing."""
    file = parse_settings({"mode": "development", "timeout_ms": 900}, "hookbus.toml")
    edited = parse_settings({"mode": "development", "timeout_ms": 700}, "hookbus.toml")
    await start(bus, Source(file))
    await bus.control("apply", settings={"timeout_ms": 800})

    same = await (await another(bus, Source(file))).settings.begin()
    other = await (await another(bus, Source(edited))).settings.begin()

    assert same.state.settings.timeout_ms == 800
    assert other.state.settings.timeout_ms == 700


@pytest.mark.parametrize("garbage", [b"", b'{"type":"io.nats.jetstream.api.v1.response"}'])
async def test_what_the_broker_was_made_to_write_over_the_state_is_not_believed(
    bus: Bus, garbage: bytes
) -> None:
    """Whoever may ask JetStream names where it answers; a restarted registry knows no better."""
    await bus.start(Scripted("a"), Scripted("b"))
    await bus.control("mode", plugin="a", mode="shadow")
    await bus.control("mode", plugin="b", mode="warn")
    state = await bus.engine.bucket(bus.transport, subjects.STATE_BUCKET)
    await state.put(subjects.OVERRIDES_KEY, garbage)
    await state.put(subjects.announcement_key("a"), garbage)
    restarted = await another(bus)

    made = await restarted.settings.begin()
    again = await restarted.set_mode("b", None, "off", None, "ops")

    modes = {binding.plugin: binding.mode for binding in made.bound.document.bindings}
    assert modes == {"a": "shadow", "b": "warn"}
    assert set(again.state.overrides.modes) == {"a", "b"}


async def test_a_file_that_is_empty_or_cut_takes_no_guard_away(bus: Bus) -> None:
    """A full disk, or a copy in place, makes just such a file."""
    registry = await start(bus, Source(from_file(plugins=GUARD), FILE))
    cut = from_file(timeout_ms=900)

    with pytest.raises(SettingsError, match=r"names no plugin, and in force are g: is it whole\?"):
        await registry.settings.adopt(cut)
    with pytest.raises(SettingsError, match=r"write: plugins = \{\}"):
        await (await another(bus, Source(cut, FILE))).settings.begin()
    still = await bus.emit()
    await registry.settings.adopt(from_file(plugins={}))
    await bus.served()

    assert still.code == "no_responders"
    assert (await bus.emit()).outcome == "continue"


async def test_what_cannot_be_taken_back_is_not_let_in_for_a_time(bus: Bus) -> None:
    """An upgrade replaces what was there; a time that nobody keeps must not be promised."""
    await start(bus, Source())
    await bus.control("apply", settings={"plugins": GUARD})
    plugin = Scripted("g")
    await bus.add(plugin)
    await plugin.announce(version="2.0.0", hooks=[{**plugin.hook, "name": "other"}])

    with pytest.raises(ControlError, match="is not let in for a time") as refused:
        await bus.control("approve", plugin="g", for_s=60)

    assert refused.value.pointer == "/for_s"


async def test_a_removal_ends_an_approval(bus: Bus) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={})
    await bus.add(Scripted("g"))
    await bus.control("approve", plugin="g", for_s=3600)

    await bus.control("remove", plugin="g", for_s=1)

    overrides = (await bus.control("settings"))["overrides"]
    assert (overrides["approved"], list(overrides["removed"])) == ({}, ["g"])


async def test_a_registry_that_let_an_upgrade_wait_hears_that_another_approved_it(bus: Bus) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={"plugins": GUARD})
    plugin = Scripted("g")
    await bus.add(plugin)
    upgrade = {**plugin.hook, "when": ["data.text == 'other'"]}
    await plugin.announce(version="2.0.0", hooks=[upgrade])
    [waiting] = (await bus.control("list"))["plugins"]

    await (await another(bus)).approve("g", "ops")
    [approved] = (await bus.control("list"))["plugins"]

    assert "version 2.0.0 has other hooks than 1.0.0" in waiting["problem"]
    assert (approved["version"], approved["problem"]) == ("2.0.0", None)
