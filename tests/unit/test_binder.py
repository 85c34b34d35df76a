"""All plugins bound again and again: what is kept of one is never what it would not be now."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hookbus.config.settings import Settings, parse_settings
from hookbus.manifest.announcement import Announcement, from_document
from hookbus.registry import binder
from hookbus.registry.binder import Binder, bind
from hookbus.registry.policy import Approval, BoundPlugin, ModeOverride, Overrides, Removal, Said

PLUGINS = ("a", "b", "c")


def announced(plugin: str, count: int, **more: Any) -> Announcement:
    hooks = [
        {"type": "tool_invoked", "phase": "validate", "name": f"h{n}", **more} for n in range(count)
    ]
    document = {"v": 1, "plugin": plugin, "version": "1.0.0", "instance": "i", "hooks": hooks}
    return from_document(document, plugin)


def settings(mode: str, plugins: dict[str, Any], types: dict[str, Any]) -> Settings:
    return parse_settings({"mode": mode, "plugins": plugins, "types": types}, "the test")


def anything(dice: random.Random) -> tuple[dict[str, Announcement], Settings, Overrides, float]:
    """One of the states that a bus may come to, of so few that many come again."""
    offers = {
        plugin: announced(
            plugin,
            dice.randrange(1, 3),
            type=dice.choice(("tool_invoked", "chat.sent")),
            priority=dice.randrange(2),
        )
        for plugin in PLUGINS
        if dice.random() < 0.7
    }
    hook = {"type": "tool_invoked", "phase": "mutate", "timeout_ms": dice.choice((5, 6))}
    named = {plugin: {"hooks": {"h0": hook}} for plugin in PLUGINS if dice.random() < 0.3}
    types = {"chat.sent": {}} if dice.random() < 0.5 else {}
    said = settings(dice.choice(("development", "production")), named, types)
    until = dice.choice((None, 5.0))
    modes = {
        key: ModeOverride(dice.choice(("shadow", "off")), "ops", "today", until)
        for key in ("a", "a/h0", "b/h1")
        if dice.random() < 0.3
    }
    removed = {"b": Removal("ops", "today", until)} if dice.random() < 0.2 else {}
    approved = {"c": Approval("ops", "today", until)} if dice.random() < 0.3 else {}
    return offers, said, Overrides(removed, modes, approved), dice.choice((1.0, 9.0))


@pytest.mark.parametrize("seed", range(5))
def test_who_binds_again_and_again_binds_as_who_binds_once(seed: int) -> None:
    dice = random.Random(seed)
    always = Binder()

    for _ in range(60):
        state = anything(dice)
        assert always.bind(*state) == bind(*state)


def test_only_plugins_of_which_something_changed_are_bound_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound_anew: list[str] = []
    bind_plugin = binder.bind_plugin

    def noted(said: Said) -> BoundPlugin:
        bound_anew.append(said.plugin)
        return bind_plugin(said)

    monkeypatch.setattr(binder, "bind_plugin", noted)
    always = Binder()
    plain = settings("development", {}, {})
    offers = {plugin: announced(plugin, 2) for plugin in PLUGINS}

    always.bind(offers, plain, Overrides(), 0.0)
    always.bind({**offers, "b": announced("b", 1)}, plain, Overrides(), 0.0)
    always.bind({**offers, "b": announced("b", 1)}, plain, Overrides(), 0.0)  # read once more
    overrides = Overrides(modes={"c/h0": ModeOverride("off", "ops", "today", until=5.0)})
    always.bind(offers, plain, overrides, 0.0)
    always.bind(offers, plain, overrides, 9.0)  # it is over

    assert bound_anew == [*PLUGINS, "b", "b", "c", "c"]
