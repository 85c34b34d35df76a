"""Hook options: defaults, names, bounds and what is said about bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hookbus.errors import Problem
from hookbus.manifest import HookOptions, HookOverlay, parse_hook

MUTATE = {"type": "tool_invoked", "phase": "mutate"}
VALIDATE = {"type": "tool_invoked", "phase": "validate"}
OBSERVE = {"type": "tool_invoked", "phase": "observe"}


def test_what_is_not_written_is_the_default() -> None:
    hook = HookOptions(type="tool_invoked", phase="mutate")

    assert hook.model_dump() == {
        "type": "tool_invoked",
        "phase": "mutate",
        "name": "tool-invoked",
        "priority": 100,
        "timeout_ms": 200,
        "on_failure": "closed",
        "mode": "enforce",
        "min_ms": 50,
        "reinvoke": "never",
        "side_effects": "none",
        "when": (),
        "writable": ("",),
        "rewrites": (),
        "cache_ttl_ms": 0,
        "cache_key": (),
        "retry": 0,
        "max_reply_bytes": 262144,
        "disallow": "error",
        "max_extension_ms": 0,
    }


def test_explicit_gives_only_what_was_written() -> None:
    hook = parse_hook({**MUTATE, "priority": 100, "writable": ["/text"]})

    assert isinstance(hook, HookOptions)
    assert hook.explicit() == {
        **MUTATE,
        "name": "tool-invoked",
        "priority": 100,
        "writable": ["/text"],
    }


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("tool_invoked", "tool-invoked"),
        ("chat.message_received", "chat-message-received"),
        ("a" * 63, "a" * 63),
    ],
)
def test_the_default_name_is_the_event_type_in_other_letters(event_type: str, name: str) -> None:
    hook = parse_hook({"type": event_type, "phase": "validate"})

    assert isinstance(hook, HookOptions)
    assert hook.name == name


@pytest.mark.parametrize("pattern", ["chat.*", "chat.>", "*", ">"])
def test_a_type_pattern_with_a_name_of_its_own_is_a_hook(pattern: str) -> None:
    hook = parse_hook({"type": pattern, "phase": "observe", "name": "all"})

    assert isinstance(hook, HookOptions)
    assert hook.type == pattern


def test_unknown_options_on_the_wire_are_ignored() -> None:
    hook = parse_hook({**MUTATE, "from_version_2": True})

    assert hook == HookOptions(type="tool_invoked", phase="mutate")


def test_a_hook_may_ask_for_more_reserve_than_its_timeout() -> None:
    hook = parse_hook({**VALIDATE, "min_ms": 500, "timeout_ms": 100})

    assert isinstance(hook, HookOptions)


def test_a_hook_cannot_be_changed() -> None:
    hook = HookOptions(type="tool_invoked", phase="mutate")

    with pytest.raises(ValidationError):
        hook.priority = 1


@pytest.mark.parametrize(
    ("raw", "at", "message"),
    [
        (5, "", "expected an object, got 5"),
        ({**MUTATE, "timeout_ms": 0}, ".timeout_ms", "expected 1 … 30000, got 0"),
        ({**MUTATE, "timeout_ms": 30_001}, ".timeout_ms", "expected 1 … 30000, got 30001"),
        ({**MUTATE, "timeout_ms": "200"}, ".timeout_ms", "expected an integer, got '200'"),
        ({**MUTATE, "timeout_ms": True}, ".timeout_ms", "expected an integer, got True"),
        ({**MUTATE, "timeout_ms": 200.0}, ".timeout_ms", "expected an integer, got 200.0"),
        ({**MUTATE, "timeout_ms": None}, ".timeout_ms", "expected an integer, got None"),
        ({**MUTATE, "priority": 1001}, ".priority", "expected -1000 … 1000, got 1001"),
        ({**MUTATE, "min_ms": 0}, ".min_ms", "expected 1 or more, got 0"),
        ({**MUTATE, "retry": 6}, ".retry", "expected 0 … 5, got 6"),
        ({**MUTATE, "max_reply_bytes": 0}, ".max_reply_bytes", "expected 1 … 8323072, got 0"),
        (
            {**MUTATE, "on_failure": "no"},
            ".on_failure",
            "expected 'closed' or 'open', got 'no'",
        ),
        (
            {**MUTATE, "mode": "on"},
            ".mode",
            "expected 'enforce', 'warn', 'shadow' or 'off', got 'on'",
        ),
        ({**MUTATE, "when": "true"}, ".when", "expected a list, got 'true'"),
        ({**MUTATE, "when": [1]}, ".when[0]", "expected a string, got 1"),
        (
            {**MUTATE, "writable": ["/a", "b"]},
            ".writable[1]",
            "expected a JSON Pointer such as '/user/email' or '', got 'b'",
        ),
        (
            {**MUTATE, "rewrites": ["/a~2"]},
            ".rewrites[0]",
            "expected a JSON Pointer such as '/user/email' or '', got '/a~2'",
        ),
        (
            {**MUTATE, "name": "Tool"},
            ".name",
            "expected a name like [a-z][a-z0-9-]{0,62}, got 'Tool'",
        ),
        (
            {"type": "chat.*", "phase": "observe"},
            ".name",
            "missing; a type pattern needs a hook name of its own, like [a-z][a-z0-9-]{0,62}",
        ),
        (
            {"type": "Tool", "phase": "mutate"},
            ".type",
            "expected an event type such as 'tool_invoked', or a pattern such as 'chat.*', "
            "'chat.>' or '>', got 'Tool'",
        ),
        ({"phase": "mutate"}, ".type", "missing; expected an event type such as 'tool_invoked'"),
        (
            {"type": "tool_invoked"},
            ".phase",
            "missing; expected 'mutate', 'validate' or 'observe'",
        ),
        (
            {"type": "tool_invoked", "phase": "check"},
            ".phase",
            "expected 'mutate', 'validate' or 'observe', got 'check'",
        ),
        (
            {**MUTATE, "name": "x" * 200},
            ".name",
            f"expected a name like [a-z][a-z0-9-]{{0,62}}, got '{'x' * 37}...{'x' * 38}'",
        ),
        (
            {**MUTATE, "cache_ttl_ms": 1000},
            ".cache_ttl_ms",
            "expected nothing on a mutate hook, got 1000; only validate hooks are cached",
        ),
    ],
)
def test_a_bad_option_is_named_with_what_was_expected(raw: object, at: str, message: str) -> None:
    assert parse_hook(raw, "hooks[0]") == (Problem(f"hooks[0]{at}", message),)


def test_all_problems_are_told_at_once() -> None:
    problems = parse_hook({"type": "x", "phase": "mutate", "retry": 9, "priority": "1"})

    assert problems == (
        Problem("priority", "expected an integer, got '1'"),
        Problem("retry", "expected 0 … 5, got 9"),
    )


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("on_failure", "closed", "'closed'"),
        ("when", ["true"], "('true',)"),
        ("writable", [""], "('',)"),
        ("retry", 0, "0"),
        ("cache_ttl_ms", 5, "5"),
        ("cache_key", ["/a"], "('/a',)"),
    ],
)
def test_an_observe_hook_refuses_options_of_verdicts_even_with_their_default(
    option: str, value: Any, shown: str
) -> None:
    problems = parse_hook({**OBSERVE, option: value})

    assert problems == (
        Problem(option, f"expected nothing on an observe hook, got {shown}; remove it"),
    )


def test_an_overlay_requires_nothing() -> None:
    overlay = HookOverlay.model_validate({"priority": 10, "phase": None})

    assert overlay.explicit() == {"priority": 10}


def test_an_overlay_knows_no_other_options() -> None:
    with pytest.raises(ValidationError):
        HookOverlay.model_validate({"priorty": 10})
