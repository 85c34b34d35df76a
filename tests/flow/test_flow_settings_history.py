"""What is kept of the settings, and how one goes back."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.errors import ControlError
from hookbus.registry.settings_changes import Source
from tests.flow.bus import Bus
from tests.flow.owned import GUARD, another, start
from tests.flow.scripted import Scripted


async def test_the_history_says_who_made_each_generation_and_what_it_changed(bus: Bus) -> None:
    await start(bus, Source())
    await bus.control("apply", settings={"plugins": GUARD})
    await bus.control("mode", plugin="g", mode="shadow", for_s=3600)
    await bus.add(Scripted("g", version="2.0.0"))

    answer = await bus.control("history", n=2)

    announced, moded = answer["history"]
    assert answer["generation"] == announced["generation"]
    assert (announced["by"], announced["what"]) == ("g", "announced 2.0.0")
    assert {"key": "plugins.g.version", "before": "0.0.0", "after": "2.0.0"} in announced["changes"]
    assert (moded["by"], moded["what"]) == ("ops", "plugins mode g shadow")
    assert moded["changes"] == [
        {"key": "plugins.g.hooks.hook.mode", "before": "enforce", "after": "shadow"}
    ]
    assert moded["at"].endswith("Z")


async def test_a_hook_that_comes_is_in_the_history_with_its_type_and_phase(bus: Bus) -> None:
    await start(bus, Source())

    await bus.control("apply", settings={"plugins": GUARD, "timeout_ms": 900})

    [first] = (await bus.control("history"))["history"]
    changed = {c["key"]: (c["before"], c["after"]) for c in first["changes"]}
    assert changed["timeout_ms"] == (None, 900)
    assert changed["plugins.g.hooks.hook.phase"] == (None, "validate")
    assert changed["plugins.g.hooks.hook.mode"] == (None, "enforce")


async def test_the_last_64_generations_are_kept(bus: Bus) -> None:
    await start(bus, Source())
    for number in range(70):
        await bus.control("apply", settings={"timeout_ms": 500 + number})

    history = (await bus.control("history", n=100))["history"]

    assert len(history) == 64
    assert history[-1]["changes"] is None
    assert history[-2]["changes"] == [{"key": "timeout_ms", "before": 506, "after": 507}]


async def test_a_rollback_puts_the_settings_of_a_generation_in_force_again(bus: Bus) -> None:
    await start(bus, Source())
    good = await bus.control("apply", settings={})
    bad = await bus.control("apply", settings={"plugins": GUARD})
    await bus.served()
    blocked = await bus.emit()

    back = await bus.control("rollback", generation=good["generation"])
    await bus.served()
    passed = await bus.emit()

    assert (blocked.outcome, passed.outcome) == ("block", "continue")
    assert back["generation"] > bad["generation"]
    assert {d["key"] for d in back["difference"]} == {
        "plugins.g.hooks.hook.type",
        "plugins.g.hooks.hook.phase",
    }
    newest = (await bus.control("history"))["history"][0]
    assert newest["what"] == f"settings rollback {good['generation']}"


async def test_a_rollback_lists_the_overrides_that_stay(bus: Bus) -> None:
    await start(bus, Source())
    good = await bus.control("apply", settings={"plugins": GUARD, "timeout_ms": 900})
    await bus.control("mode", plugin="g", mode="shadow")
    await bus.control("apply", settings={"plugins": GUARD})

    back = await bus.control("rollback", generation=good["generation"])

    assert back["overrides"]["modes"]["g"]["mode"] == "shadow"
    [plugin] = (await bus.control("list"))["plugins"]
    assert plugin["hooks"][0]["mode"] == "shadow"


async def test_a_rollback_to_what_is_not_kept_names_what_is(bus: Bus) -> None:
    await start(bus, Source())
    made = await bus.control("apply", settings={})

    with pytest.raises(ControlError, match=f"not kept; there are: {made['generation']}") as refused:
        await bus.control("rollback", generation=made["generation"] + 1)

    assert refused.value.code == "unknown_generation"


async def test_a_rollback_that_would_unbind_somebody_is_refused(bus: Bus) -> None:
    """The type that a plugin is asked about since may not have been there; nothing changes."""
    await start(bus, Source())
    old = await bus.control("apply", settings={"mode": "development"})
    await bus.control("apply", settings={"types": {"chat.sent": {}}})
    await bus.add(Scripted("a", type="chat.sent"))
    before = await bus.served()

    with pytest.raises(ControlError, match=r"a: .*'chat\.sent' is not a type") as refused:
        await bus.control("rollback", generation=old["generation"])

    assert refused.value.code == "unbindable"
    assert await bus.served() == before


async def test_the_difference_that_is_told_is_that_to_what_was_replaced(bus: Bus) -> None:
    """Two operators at two registries at once: neither must be told what is not so."""
    await start(bus, Source())
    await bus.control("apply", settings={"timeout_ms": 800})
    second = await another(bus)
    told = await asyncio.gather(
        *(
            r.settings.apply({"timeout_ms": n}, "ops", is_trial=False)
            for r, n in ((bus.registry, 801), (second, 802))
        )
    )

    steps = {(c.before.settings.timeout_ms, c.after.settings.timeout_ms) for c in told}
    assert steps in ({(800, 801), (801, 802)}, {(800, 802), (802, 801)})


async def test_no_plugin_can_push_the_settings_out_of_the_history(bus: Bus) -> None:
    """A crash loop with a version of each build would do it as well as malice."""
    await start(bus, Source())
    good = await bus.control("apply", settings={"plugins": GUARD})
    await bus.control("apply", settings={"plugins": GUARD, "timeout_ms": 900})
    plugin = Scripted("g")
    await bus.add(plugin)
    for number in range(70):
        await plugin.announce(version=f"1.{number}.0")

    history = (await bus.control("history", n=128))["history"]
    back = await bus.control("rollback", generation=good["generation"])

    assert [h["what"] for h in history[-2:]] == ["settings apply"] * 2
    assert history[-2]["changes"] == [{"key": "timeout_ms", "before": None, "after": 900}]
    assert back["difference"] == [{"key": "timeout_ms", "before": 900, "after": 1000}]
