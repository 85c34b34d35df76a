"""The settings tree: defaults, partial tables, and what is said about bad ones."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from hookbus.config.settings import Settings, parse_settings
from hookbus.errors import SettingsError

DAY = 86_400.0
GIB = 1024 * 1024 * 1024


def test_an_empty_tree_is_the_defaults_of_the_protocol() -> None:
    settings = parse_settings({}, "hookbus.toml")

    assert settings.model_dump() == {
        "mode": "production",
        "timeout_ms": 1000,
        "max_timeout_ms": 30000,
        "ready_timeout_ms": 2000,
        "max_event_bytes": 524288,
        "max_depth": 5,
        "max_in_flight": 1024,
        "max_plugins": 64,
        "idempotency": "on",
        "audit": "best_effort",
        "observe": "auto",
        "upgrade": "approve",
        "trace_sampling": 0.01,
        "replicas": None,
        "breaker": {"failures": 5, "open_ms": 1000, "max_open_ms": 30000},
        "observers": {
            "ack_wait_ms": 30_000,
            "max_deliver": 5,
            "backoff_ms": (1_000, 5_000, 30_000, 120_000),
        },
        "patch": {"max_ops": 256, "max_growth": 4.0},
        "streams": {
            "DECISIONS": {"max_age": 7 * DAY, "max_bytes": GIB},
            "OBSERVE": {"max_age": DAY, "max_bytes": GIB},
            "INPUTS": {"max_age": DAY, "max_bytes": GIB},
            "DLQ": {"max_age": 30 * DAY, "max_bytes": GIB // 4},
        },
        "types": {},
        "plugins": {},
    }


def test_a_hook_table_holds_only_what_was_written() -> None:
    settings = parse_settings(
        {"plugins": {"guard": {"hooks": {"tool-invoked": {"priority": 100, "when": ["true"]}}}}},
        "hookbus.toml",
    )

    overlay = settings.plugins["guard"].hooks["tool-invoked"]
    assert overlay.explicit() == {"priority": 100, "when": ["true"]}


def test_a_partial_stream_table_keeps_the_other_default_of_that_stream() -> None:
    settings = parse_settings({"streams": {"DLQ": {"max_age": "12h"}}}, "hookbus.toml")

    assert settings.streams.DLQ.max_age == 43_200.0
    assert settings.streams.DLQ.max_bytes == GIB // 4
    assert settings.streams.OBSERVE.max_age == DAY


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90.0), (1.5, 1.5), ("90s", 90.0), ("30m", 1800.0), ("24h", DAY), ("7d", 7 * DAY)],
)
def test_an_age_is_seconds_or_a_duration(written: object, seconds: float) -> None:
    settings = parse_settings({"streams": {"INPUTS": {"max_age": written}}}, "hookbus.toml")

    assert settings.streams.INPUTS.max_age == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [(4096, 4096), ("4096B", 4096), ("64KiB", 65_536), ("256MiB", GIB // 4), ("1GiB", GIB)],
)
def test_a_size_is_bytes_or_has_a_unit(written: object, size: int) -> None:
    settings = parse_settings({"streams": {"INPUTS": {"max_bytes": written}}}, "hookbus.toml")

    assert settings.streams.INPUTS.max_bytes == size


def test_plugin_config_and_schemas_may_hold_any_keys() -> None:
    settings = parse_settings(
        {
            "types": {"chat.sent": {"schema": {"type": "object", "x-hookbus-secret": True}}},
            "plugins": {"guard": {"config": {"deny": ["rm"], "nested": {"tiemout_ms": 1}}}},
        },
        "hookbus.toml",
    )

    assert settings.types["chat.sent"].json_schema == {"type": "object", "x-hookbus-secret": True}
    assert settings.plugins["guard"].config == {"deny": ["rm"], "nested": {"tiemout_ms": 1}}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"mode": "development"}, "full"),
        ({"mode": "production"}, "none"),
        ({"types": {"chat": {"record_payload": "masked"}}}, "masked"),
        ({"types": {"chat": {}}, "mode": "development"}, "full"),
    ],
)
def test_what_is_recorded_is_said_by_the_type_and_else_by_the_mode(
    tree: dict[str, Any], expected: str
) -> None:
    assert parse_settings(tree, "hookbus.toml").record_payload("chat") == expected


def test_settings_compare_by_value_wherever_they_were_read() -> None:
    assert parse_settings({}, "a.toml") == parse_settings({"timeout_ms": 1000}, "b.toml")
    assert parse_settings({}, "a.toml") == Settings()
    assert parse_settings({}, "a.toml") != parse_settings({"timeout_ms": 999}, "a.toml")


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.timeout_ms = 1


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "expected an object, got []"),
        ({"tiemout_ms": 1}, "tiemout_ms: unknown key; did you mean 'timeout_ms'?"),
        (
            {"breaker": {"x": 1}},
            "breaker.x: unknown key; known here: failures, open_ms, max_open_ms",
        ),
        ({"breaker": {"faliures": 1}}, "breaker.faliures: unknown key; did you mean 'failures'?"),
        (
            {"streams": {"OTHER": {}}},
            "streams.OTHER: unknown key; known here: DECISIONS, OBSERVE, INPUTS, DLQ",
        ),
        ({"mode": "prod"}, "mode: expected 'development' or 'production', got 'prod'"),
        ({"timeout_ms": 9}, "timeout_ms: expected 10 or more, got 9"),
        ({"timeout_ms": "1s"}, "timeout_ms: expected an integer, got '1s'"),
        ({"timeout_ms": True}, "timeout_ms: expected an integer, got True"),
        ({"timeout_ms": 30001}, "timeout_ms: expected at most max_timeout_ms = 30000, got 30001"),
        ({"max_timeout_ms": 500}, "timeout_ms: expected at most max_timeout_ms = 500, got 1000"),
        ({"max_event_bytes": 8323073}, "max_event_bytes: expected 1 … 8323072, got 8323073"),
        ({"max_event_bytes": "8MiB"}, "max_event_bytes: expected 1 … 8323072, got 8388608"),
        ({"trace_sampling": 1.5}, "trace_sampling: expected 0 … 1, got 1.5"),
        ({"trace_sampling": float("nan")}, "trace_sampling: expected a finite number, got nan"),
        ({"replicas": 6}, "replicas: expected 1 … 5, got 6"),
        ({"idempotency": False}, "idempotency: expected 'on' or 'off', got False"),
        ({"patch": {"max_growth": 0}}, "patch.max_growth: expected 1 or more, got 0.0"),
        (
            {"breaker": {"open_ms": 40000}},
            "breaker.open_ms: expected at most max_open_ms = 30000, got 40000",
        ),
        (
            {"streams": {"DLQ": {"max_age": "a week"}}},
            "streams.DLQ.max_age: expected seconds, or a duration such as '7d' or '24h', "
            "got 'a week'",
        ),
        ({"streams": {"DLQ": {"max_age": 0}}}, "streams.DLQ.max_age: expected 1 or more, got 0.0"),
        (
            {"streams": {"DLQ": {"max_bytes": "1GB"}}},
            "streams.DLQ.max_bytes: expected bytes, or a size such as '64KiB' or '1GiB', got '1GB'",
        ),
        ({"types": []}, "types: expected an object, got []"),
        (
            {"types": {"Chat": {}}},
            "types.Chat: expected an event type like "
            r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){0,4}, at most 63 characters, got 'Chat'",
        ),
        (
            {"types": {"chat.sent": {"secret": ["user"]}}},
            "types.\"chat.sent\".secret[0]: expected a JSON Pointer such as '/user/email' or '', "
            "got 'user'",
        ),
        (
            {"types": {"chat": {"schema": "chat.json"}}},
            "types.chat.schema: expected a schema object, got 'chat.json'; "
            "only a settings file may name a path",
        ),
        ({"types": {"chat": {"schema": 1}}}, "types.chat.schema: expected an object, got 1"),
        (
            {"types": {"chat": {"schma": {}}}},
            "types.chat.schma: unknown key; did you mean 'schema'?",
        ),
        (
            {"types": {"chat": {"timeout_ms": 200, "max_timeout_ms": 100}}},
            "types.chat.timeout_ms: expected at most max_timeout_ms = 100, got 200",
        ),
        (
            {"types": {"chat": {"timeout_ms": 40000}}},
            "types.chat.timeout_ms: expected at most max_timeout_ms = 30000, got 40000",
        ),
        (
            {"plugins": {"Guard": {}}},
            "plugins.Guard: expected a name like [a-z][a-z0-9-]{0,62}, got 'Guard'",
        ),
        (
            {"plugins": {"guard": {"config": {"since": date(2026, 1, 1)}}}},
            "plugins.guard.config: expected what JSON can say: "
            "Object of type date is not JSON serializable",
        ),
        (
            {"plugins": {"guard": {"hook": {}}}},
            "plugins.guard.hook: unknown key; did you mean 'hooks'?",
        ),
        (
            {"plugins": {"guard": {"hooks": {"a_b": {}}}}},
            "plugins.guard.hooks.a_b: expected a name like [a-z][a-z0-9-]{0,62}, got 'a_b'",
        ),
        (
            {"plugins": {"guard-tools": {"hooks": {"tool-invoked": {"timeout_ms": 0}}}}},
            "plugins.guard-tools.hooks.tool-invoked.timeout_ms: expected 1 … 30000, got 0",
        ),
        (
            {"plugins": {"guard": {"hooks": {"h": {"timout_ms": 1}}}}},
            "plugins.guard.hooks.h.timout_ms: unknown key; did you mean 'timeout_ms'?",
        ),
        (
            {"plugins": {"guard": {"hooks": {"h": {"phase": "observe", "retry": 1}}}}},
            "plugins.guard.hooks.h.retry: expected nothing on an observe hook, got 1; remove it",
        ),
        (
            {"plugins": {"anonymous": {}}},
            "plugins.anonymous: 'anonymous' is a name of the bus's own; choose another",
        ),
    ],
)
def test_a_bad_setting_is_named_with_what_was_expected(tree: object, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(tree, "hookbus.toml")

    assert str(caught.value) == f"hookbus.toml: {message}"


def test_all_problems_are_told_at_once_on_a_line_each() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"max_depth": 0, "audit": "no"}, "apply")

    assert str(caught.value) == (
        "apply: max_depth: expected 1 or more, got 0\n"
        "apply: audit: expected 'best_effort' or 'required', got 'no'"
    )


def test_a_config_nested_beyond_reason_is_refused() -> None:
    config: dict[str, Any] = {}
    for _ in range(100_000):
        config = {"a": config}

    with pytest.raises(SettingsError, match=r"plugins\.guard\.config: expected what JSON can say"):
        parse_settings({"plugins": {"guard": {"config": config}}}, "apply")
