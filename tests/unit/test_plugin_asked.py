"""Would a plugin be asked: every reason why not, found as the dispatcher would find it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hookbus.cli.plugins.asked import NO_DATA, Question, UnknownHook, View, explain, path_of
from hookbus.cli.role_stats import DispatcherStats
from hookbus.conditions import references

ASKS_BASH = 'data.name == "bash" && event.source != "/x"'
BASH = {"name": "bash", "args": {"command": "ls"}}
QUESTION = Question(plugin="guard", type="tool_invoked", data=BASH)


def hook(**options: Any) -> dict[str, Any]:
    said = {"name": "tool-invoked", "type": "tool_invoked", "phase": "validate", "mode": "enforce"}
    return {"version": "1.0.0", "origins": {}, **said, **options}


def plugin(*hooks: dict[str, Any], **members: Any) -> dict[str, Any]:
    said = {"plugin": "guard", "version": "1.0.0", "state": "bound", "problem": None}
    replicas = [{"instance": "7f", "version": "1.0.0", "metadata": {}}]
    return {**said, "hooks": list(hooks), "replicas": replicas, **members}


def dispatcher(instance: str = "d1", **stats: Any) -> DispatcherStats:
    return DispatcherStats(**{"instance": instance, "generation": 7, **stats})


def view(
    *plugins: dict[str, Any],
    dispatchers: tuple[DispatcherStats, ...] = (dispatcher(),),
    settings: dict[str, Any] | None = None,
    removed: tuple[str, ...] = (),
) -> View:
    rows = [{"key": k, "value": v, "origin": "x"} for k, v in (settings or {}).items()]
    overrides = {"removed": {name: {"by": "ops", "at": "then"} for name in removed}, "modes": {}}
    return View(
        {"generation": 7, "plugins": list(plugins)},
        {"generation": 7, "settings": rows, "overrides": overrides},
        dispatchers,
    )


def test_a_hook_that_nothing_speaks_against_is_asked() -> None:
    answer = explain(view(plugin(hook(when=[ASKS_BASH]))), QUESTION)

    assert answer.asked is True
    assert answer.code is None
    [found] = answer.hooks
    assert (found.asked, found.code, found.notes) == (True, "asked", [])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"mode": "off", "origins": {"mode": "override by ops at x"}}, "mode_off", "by ops"),
        ({"type": "message_received"}, "type", "message_received, not tool_invoked"),
        ({"when": ["true", 'data.name == "sh"']}, "condition_false", 'data.name == "sh"'),
        ({"when": ['data.nme == "sh"']}, "match_error", "the event is blocked"),
        ({"when": ["data.nme == 1"], "on_failure": "open"}, "match_error", "it fails open"),
    ],
)
def test_what_speaks_against_one_hook_is_said(
    options: dict[str, Any], code: str, words: str
) -> None:
    answer = explain(view(plugin(hook(**options))), QUESTION)

    assert answer.asked is False
    [found] = answer.hooks
    assert (found.asked, found.code) == (False, code)
    assert words in found.why


def test_a_false_condition_is_shown_with_what_its_parts_stand_for() -> None:
    condition = 'data.name == "sh" && has(data.args.path) && data.args.command.contains("x")'

    [found] = explain(view(plugin(hook(when=[condition]))), QUESTION).hooks

    assert found.condition == condition
    assert found.values == {
        "data.name": "bash",
        "data.args.path": None,
        "data.args.command": "ls",
    }


def test_without_a_payload_a_condition_on_it_is_left_open_and_one_on_the_event_is_not() -> None:
    asked = replace(QUESTION, data=NO_DATA)
    on_data = explain(view(plugin(hook(when=['data.name == "x"']))), asked)
    on_event = explain(view(plugin(hook(when=['event.source == "data.x"']))), asked)

    assert (on_data.asked, on_data.hooks[0].code) == (None, "data_unknown")
    assert (on_event.asked, on_event.hooks[0].code) == (False, "condition_false")


@pytest.mark.parametrize(
    ("options", "effect"),
    [
        ({}, "such an event is blocked"),
        ({"on_failure": "open"}, "it fails open"),
        ({"mode": "shadow"}, "decides nothing in its mode"),
        ({"phase": "observe"}, "wait in the stream"),
    ],
)
def test_without_a_replica_it_is_said_what_becomes_of_the_event(
    options: dict[str, Any], effect: str
) -> None:
    [found] = explain(view(plugin(hook(**options), replicas=[])), QUESTION).hooks

    assert (found.asked, found.code) == (False, "no_replica")
    assert effect in found.why
    assert "hookbus plugins remove guard" in found.why


@pytest.mark.parametrize(("mode", "word"), [("shadow", "nobody waits"), ("warn", "a warning")])
def test_a_hook_whose_verdict_decides_nothing_is_asked_and_says_so(mode: str, word: str) -> None:
    answer = explain(view(plugin(hook(mode=mode))), QUESTION)

    assert answer.asked is True
    assert word in answer.hooks[0].why


def test_an_open_breaker_is_named_with_its_dispatcher_and_its_end() -> None:
    resting = dispatcher(
        breakers={"guard/enforce": "open"},
        breakers_open_ms={"guard/enforce": 1_240},
        metadata={"pid": "12", "host": "web-1"},
    )
    all_rest = explain(view(plugin(hook()), dispatchers=(resting,)), QUESTION)
    one_rests = explain(view(plugin(hook()), dispatchers=(resting, dispatcher("d2"))), QUESTION)
    other_mode = explain(view(plugin(hook(mode="warn")), dispatchers=(resting,)), QUESTION)

    assert (all_rest.asked, all_rest.hooks[0].code) == (False, "breaker_open")
    assert "dispatcher d1 (pid 12 on web-1), for 1.2 s more" in all_rest.hooks[0].why
    assert one_rests.asked is True
    assert "d1" in one_rests.hooks[0].notes[0]
    assert other_mode.hooks[0].notes == []


def test_a_half_open_breaker_or_one_whose_rest_is_over_lets_a_call_try() -> None:
    half = dispatcher(breakers={"guard/enforce": "half_open"})
    over = dispatcher(breakers={"guard/enforce": "open"}, breakers_open_ms={"guard/enforce": 0})

    assert explain(view(plugin(hook()), dispatchers=(half, over)), QUESTION).asked is True


def test_a_plugin_is_not_asked_about_its_own_event() -> None:
    answer = explain(view(plugin(hook())), replace(QUESTION, principal="guard"))

    assert [found.code for found in answer.hooks] == ["self"]


def test_a_chain_that_is_too_deep_is_a_loop_and_nobody_is_asked() -> None:
    seen = view(plugin(hook()), settings={"max_depth": 2})

    just = explain(seen, replace(QUESTION, chain=("a", "b")))
    deep = explain(seen, replace(QUESTION, chain=("a", "b"), principal="guard"))

    assert just.asked is True
    assert (deep.asked, deep.code, deep.hooks) == (False, "loop", [])
    assert "a > b > guard" in (deep.why or "")


def test_more_hooks_than_max_plugins_are_not_asked() -> None:
    answer = explain(view(plugin(hook(), hook(name="b")), settings={"max_plugins": 1}), QUESTION)

    assert answer.code == "too_many_plugins"


def test_data_that_breaks_the_schema_is_refused_with_the_place() -> None:
    schema = {"type": "object", "required": ["n"]}
    settings = {'types."chat.sent".schema': schema}
    seen = view(plugin(hook(type="chat.sent")), settings=settings)

    refused = explain(seen, Question(plugin="guard", type="chat.sent", data={}))
    accepted = explain(seen, Question(plugin="guard", type="chat.sent", data={"n": 1}))
    unknown = explain(seen, Question(plugin="guard", type="chat.snet", data={}))

    assert refused.code == "schema"
    assert "/data/n" in (refused.why or "")
    assert accepted.asked is True
    assert unknown.code == "unknown_type"
    assert "chat.sent" in (unknown.why or "")


@pytest.mark.parametrize(
    ("members", "code", "word"),
    [
        ({"state": "refused", "problem": "hooks[0].type: bad"}, "refused", "hooks[0].type: bad"),
        ({"state": "pending", "problem": "not named"}, "pending", "not named"),
        ({"state": "pending"}, "pending", "nothing in the settings binds it"),
    ],
)
def test_a_plugin_that_is_not_bound_says_why(members: dict[str, Any], code: str, word: str) -> None:
    answer = explain(view(plugin(**members)), QUESTION)

    assert (answer.asked, answer.code) == (False, code)
    assert word in (answer.why or "")


def test_a_removed_plugin_says_by_whom() -> None:
    why = "removed by ops at then; `hookbus plugins approve guard` binds it again"

    answer = explain(view(plugin(state="pending", problem=why), removed=("guard",)), QUESTION)

    assert (answer.code, answer.why) == ("removed", why)


def test_a_plugin_that_nobody_knows_is_unknown_and_the_known_are_named() -> None:
    answer = explain(view(plugin(hook())), replace(QUESTION, plugin="gard"))

    assert answer.code == "unknown"
    assert "known are: guard" in (answer.why or "")


def test_without_a_dispatcher_nobody_asks() -> None:
    answer = explain(view(plugin(hook()), dispatchers=()), QUESTION)

    assert answer.code == "no_dispatcher"


def test_before_any_settings_are_in_force_nobody_is_asked() -> None:
    seen = view(plugin(hook()))
    waiting = replace(seen, settings={**seen.settings, "applied": False})

    answer = explain(waiting, QUESTION)

    assert answer.code == "waiting"
    assert "hookbus settings apply FILE" in (answer.why or "")


def test_what_else_may_matter_is_noted() -> None:
    mutator = plugin(hook(phase="mutate"), plugin="redact")
    seen = view(
        plugin(hook(when=["true"], cache_ttl_ms=5), problem="instance 8a answers"),
        mutator,
        dispatchers=(dispatcher(generation=6),),
    )

    answer = explain(seen, QUESTION)

    changed, cached, behind = answer.hooks[0].notes
    assert "redact" in changed
    assert "cache_ttl_ms" in cached
    assert "older generation" in behind
    assert answer.notes == ["a replica is refused: instance 8a answers"]


def test_a_hook_that_the_plugin_has_not_is_wrong_use() -> None:
    with pytest.raises(UnknownHook, match="'x'; it has: tool-invoked"):
        explain(view(plugin(hook())), replace(QUESTION, hook="x"))


def test_one_hook_can_be_asked_for() -> None:
    seen = view(plugin(hook(), hook(name="other", mode="off")))

    assert explain(seen, replace(QUESTION, hook="other")).asked is False
    assert explain(seen, QUESTION).asked is True


def test_what_an_expression_reads_is_found_outside_of_its_strings() -> None:
    source = 'data.a.b > 1 || "data.no" == data.x.lowerAscii() || size(data) > event . source'

    found = references(source)

    assert found == [("data", "a", "b"), ("data", "x"), ("data",), ("event", "source")]


def test_a_settings_key_is_taken_apart_as_toml_does() -> None:
    assert path_of('types."chat.sent".conflict') == ["types", "chat.sent", "conflict"]
