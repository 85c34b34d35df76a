"""Announcements, settings and overrides put together (R18, R31)."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus.config.settings import Settings, parse_settings
from hookbus.errors import SettingsError
from hookbus.manifest.announcement import Announcement, from_document
from hookbus.registry import policy
from hookbus.registry.binder import Bound, bind, demand_named
from hookbus.registry.policy import Overrides, Removal
from hookbus.registry.upgrade import awaits_approval
from hookbus.snapshot import Binding

HOOK = {"type": "tool_invoked", "phase": "validate", "name": "h"}


def announced(plugin: str, *hooks: dict[str, Any], version: str = "1.0.0") -> Announcement:
    document = {"v": 1, "plugin": plugin, "version": version, "instance": "i", "hooks": [*hooks]}
    return from_document(document, plugin)


def settings(mode: str = "development", **tree: Any) -> Settings:
    return parse_settings({"mode": mode, **tree}, "the test")


def bound(said: Settings, *announcements: Announcement, removed: tuple[str, ...] = ()) -> Bound:
    overrides = Overrides(removed={name: Removal("ops", "today") for name in removed})
    return bind({a.plugin: a for a in announcements}, said, overrides, 0.0)


def only_binding(found: Bound) -> Binding:
    [binding] = found.document.bindings
    return binding


def test_development_binds_whoever_announces_itself() -> None:
    binding = only_binding(bound(settings(), announced("a", {**HOOK, "priority": 7})))

    assert (binding.plugin, binding.hook, binding.version) == ("a", "h", "1.0.0")
    assert (binding.priority, binding.timeout_ms, binding.on_failure) == (7, 200, "closed")
    assert binding.origin == "announcement"


def test_production_binds_only_what_is_named() -> None:
    found = bound(settings("production"), announced("a", HOOK))

    assert found.document.bindings == ()
    assert "[plugins.a.hooks" in found.pending["a"]


def test_production_binds_a_named_plugin_that_was_never_seen() -> None:
    hooks = {"hooks": {"h": {"type": "tool_invoked", "phase": "mutate"}}}

    binding = only_binding(bound(settings("production", plugins={"g": hooks})))

    assert (binding.plugin, binding.phase, binding.version) == ("g", "mutate", "0.0.0")
    assert binding.origin == "settings"


def test_type_and_phase_may_come_from_an_announcement_kept_earlier() -> None:
    said = settings("production", plugins={"a": {"hooks": {"h": {"priority": 3}}}})

    binding = only_binding(bound(said, announced("a", HOOK)))

    assert (binding.type, binding.phase, binding.priority) == ("tool_invoked", "validate", 3)


def test_a_named_hook_of_which_nobody_says_the_type_is_a_problem_with_its_place() -> None:
    said = settings("production", plugins={"a": {"hooks": {"h": {"priority": 3}}}})

    found = bound(said)

    assert found.document.bindings == ()
    assert found.problems["a"][0].at.startswith("plugins.a.hooks.h")


@pytest.mark.parametrize(
    ("option", "value"), [("on_failure", "open"), ("priority", -5), ("mode", "off")]
)
def test_in_production_what_is_the_operators_never_comes_from_an_announcement(
    option: str, value: Any
) -> None:
    said = settings("production", plugins={"a": {"hooks": {"h": {}}}})

    binding = only_binding(bound(said, announced("a", {**HOOK, option: value})))

    assert (
        getattr(binding, option)
        == {"on_failure": "closed", "priority": 100, "mode": "enforce"}[option]
    )


def test_what_the_settings_say_wins_and_the_rest_is_the_plugins() -> None:
    said = settings(plugins={"a": {"hooks": {"h": {"timeout_ms": 50}}}})
    wish = {**HOOK, "timeout_ms": 900, "priority": 3}

    binding = only_binding(bound(said, announced("a", wish)))

    assert (binding.timeout_ms, binding.priority) == (50, 3)


def test_a_plugin_is_bound_whole_or_not_at_all() -> None:
    said = settings(plugins={"a": {"hooks": {"h": {"phase": "observe"}}}})
    right, wrong = {**HOOK, "name": "right"}, {**HOOK, "on_failure": "open"}

    found = bound(said, announced("a", right, wrong), announced("b", HOOK))

    assert [b.plugin for b in found.document.bindings] == ["b"]
    assert found.problems.keys() == {"a"}


def test_a_removed_plugin_is_pending_whatever_binds_it() -> None:
    hooks = {"hooks": {"h": {"type": "tool_invoked", "phase": "validate"}}}

    found = bound(settings(plugins={"a": hooks}), announced("a", HOOK), removed=("a",))

    assert found.document.bindings == ()
    assert "removed by ops at today" in found.pending["a"]


def test_types_and_limits_of_the_settings_are_in_the_document() -> None:
    said = settings(
        timeout_ms=700,
        max_event_bytes=1_000,
        types={"tool_invoked": {"schema": {"type": "object"}, "timeout_ms": 300}},
    )

    document = bound(said).document

    assert (document.limits.timeout_ms, document.limits.max_event_bytes) == (700, 1_000)
    assert document.types["tool_invoked"].schema == {"type": "object"}
    assert document.types["tool_invoked"].timeout_ms == 300


def test_the_document_is_the_same_whatever_the_order_of_the_announcements() -> None:
    a, b = announced("a", HOOK), announced("b", HOOK)

    assert bound(settings(), a, b).document == bound(settings(), b, a).document


def test_a_hook_on_a_type_that_the_bus_does_not_know_is_refused_with_the_types_it_knows() -> None:
    hook = {"type": "tool_invokd", "phase": "validate"}

    [problem] = bound(settings(), announced("a", hook)).problems["a"]

    assert problem.at == "hooks[0].type"
    assert "'tool_invokd' is not a type of this bus; known are message_received" in problem.message


def test_a_pattern_may_match_what_is_not_known_yet() -> None:
    hook = {"type": "chat.>", "name": "all", "phase": "validate"}

    assert bound(settings(), announced("a", hook)).problems == {}


@pytest.mark.parametrize("mode", ["production", "development"])
def test_a_condition_that_does_not_compile_leaves_nobody_unbound_in_silence(mode: str) -> None:
    hook = {"type": "tool_invoked", "phase": "validate", "when": ["data.("]}
    said = settings(mode, plugins={"guard": {"hooks": {"h": hook}}})

    with pytest.raises(SettingsError, match=r"the test: plugins\.guard\.hooks\.h\.when\[0\]: "):
        demand_named(bound(said), said)


def test_in_production_a_named_hook_must_say_type_and_phase_somewhere() -> None:
    said = settings("production", plugins={"a": {"hooks": {"h": {"priority": 3}}}})

    demand_named(bound(said, announced("a", HOOK)), said)
    with pytest.raises(SettingsError, match=r"plugins\.a\.hooks\.h\.type"):
        demand_named(bound(said), said)


def test_in_development_an_announcement_to_come_may_say_type_and_phase() -> None:
    said = settings(plugins={"a": {"hooks": {"h": {"priority": 3}}}})

    demand_named(bound(said), said)


def test_what_the_settings_do_not_name_may_be_wrong() -> None:
    hook = {"type": "tool_invoked", "phase": "validate"}
    said = settings("production", plugins={"a": {"hooks": {"h": hook}}})

    demand_named(bound(said, announced("b", {**HOOK, "when": ["("]})), said)


@pytest.mark.parametrize("announcements", [(), (announced("a", HOOK),)])
def test_in_production_a_plugin_that_is_named_without_a_hook_is_no_guard_in_silence(
    announcements: tuple[Any, ...],
) -> None:
    said = settings("production", plugins={"a": {"config": {"x": 1}}})

    with pytest.raises(SettingsError, match=r"plugins\.a: names no hook"):
        demand_named(bound(said, *announcements), said)


def test_a_condition_is_compiled_once_however_often_the_plugins_are_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(policy, "check_condition", compiled.append)
    plugin = announced("a", {**HOOK, "when": ["data.name != 'compiled once'"]})

    for _ in range(3):
        bound(settings(), plugin)

    assert compiled == ["data.name != 'compiled once'"]


def candidate(plugin: str, of: str, *hooks: dict[str, Any], version: str = "1.0.0") -> Announcement:
    document = announced(plugin, *hooks, version=version).to_document()
    return from_document({**document, "candidate_of": of}, plugin)


@pytest.mark.parametrize("asked", [{}, {"mode": "enforce"}, {"mode": "off"}])
def test_a_candidate_is_in_shadow_whatever_it_asks(asked: dict[str, Any]) -> None:
    binding = only_binding(bound(settings(), candidate("a--next", "a", {**HOOK, **asked})))

    assert (binding.mode, binding.candidate_of) == ("shadow", "a")


@pytest.mark.parametrize("mode", ["development", "production"])
def test_settings_that_name_a_candidate_leave_it_in_shadow(mode: str) -> None:
    hooks = {"hooks": {"h": {"priority": 3}}}

    said = settings(mode, plugins={"a--next": hooks})
    binding = only_binding(bound(said, candidate("a--next", "a", {**HOOK, "mode": "enforce"})))

    assert (binding.mode, binding.priority) == ("shadow", 3)


def test_the_mode_of_a_candidate_is_the_operators_to_change() -> None:
    hooks = {"hooks": {"h": {"mode": "warn"}}}
    said = settings(plugins={"a--next": hooks})

    assert only_binding(bound(said, candidate("a--next", "a", HOOK))).mode == "warn"


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_in_production_a_candidate_becomes_none_only_by_an_operator(version: str) -> None:
    hooks = {"hooks": {"h": {}}}
    said = settings("production", plugins={"a--next": hooks})
    tried = candidate("a--next", "a", HOOK)
    then = announced("a--next", HOOK, version=version)

    waits = awaits_approval(then, tried, said, Overrides())

    assert waits is not None
    assert "approve a--next" in waits.message
    assert awaits_approval(then, tried, settings(), Overrides()) is None
