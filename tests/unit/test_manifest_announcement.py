"""Announcements: bytes to value and back, and everything that is refused."""

from __future__ import annotations

import json

import pytest

from hookbus.errors import InvalidManifest, Problem
from hookbus.manifest import (
    Announcement,
    HookOptions,
    encode_announcement,
    from_document,
    hooks_fingerprint,
    parse_announcement,
)

PROTOCOL_EXAMPLE = (
    b'{"v":1,"plugin":"redact-secrets","version":"1.0.0","instance":"7f",'
    b'"hooks":[{"name":"message-received","type":"message_received","phase":"mutate",'
    b'"priority":10,"timeout_ms":200}]}'
)
GOOD = {
    "v": 1,
    "plugin": "guard",
    "version": "1.0.0",
    "instance": "7f",
    "hooks": [{"type": "tool_invoked", "phase": "validate"}],
}


def test_the_example_of_the_protocol_is_an_announcement() -> None:
    announcement = parse_announcement(PROTOCOL_EXAMPLE, "redact-secrets")

    assert announcement == Announcement(
        plugin="redact-secrets",
        version="1.0.0",
        instance="7f",
        hooks=(
            HookOptions(
                name="message-received",
                type="message_received",
                phase="mutate",
                priority=10,
                timeout_ms=200,
            ),
        ),
    )


def test_an_announcement_survives_the_wire_and_stays_as_it_was_written() -> None:
    announcement = parse_announcement(PROTOCOL_EXAMPLE, "redact-secrets")

    body = encode_announcement(announcement)

    assert json.loads(body) == json.loads(PROTOCOL_EXAMPLE)
    assert parse_announcement(body, "redact-secrets") == announcement


def test_a_goodbye_has_no_hooks() -> None:
    goodbye = Announcement(plugin="guard", version="1.0.0", instance="7f", goodbye=True)

    document = goodbye.to_document()

    assert document == {
        "v": 1,
        "plugin": "guard",
        "version": "1.0.0",
        "instance": "7f",
        "goodbye": True,
    }
    assert from_document(document, "guard") == goodbye


def test_a_candidate_is_kept_as_one() -> None:
    announcement = parse_announcement(
        json.dumps({**GOOD, "candidate_of": "old-guard"}).encode(), "guard"
    )

    assert from_document(announcement.to_document(), "guard").candidate_of == "old-guard"


def test_unknown_keys_are_ignored_and_of_a_repeated_key_the_last_counts() -> None:
    body = json.dumps({**GOOD, "later": 1, "version": "1.0.0"}).encode()
    body = body.replace(b'"v": 1', b'"v": 2, "v": 1')

    assert parse_announcement(body, "guard").version == "1.0.0"


@pytest.mark.parametrize(
    ("change", "at", "message"),
    [
        ({"v": 2}, "v", "expected 1, got 2"),
        ({"v": True}, "v", "expected 1, got True"),
        ({"v": "1"}, "v", "expected 1, got '1'"),
        ({"plugin": "other"}, "plugin", "expected 'guard' as in the subject, got 'other'"),
        ({"version": "1.0"}, "version", "expected a SemVer version such as '1.0.0', got '1.0'"),
        ({"version": 1}, "version", "expected a string, got 1"),
        ({"instance": ""}, "instance", "expected 1 … 64 characters, got ''"),
        ({"goodbye": 1}, "goodbye", "expected true or false, got 1"),
        ({"goodbye": 1, "hooks": []}, "goodbye", "expected true or false, got 1"),
        ({"hooks": []}, "hooks", "expected at least one hook, or goodbye: true"),
        ({"hooks": {}}, "hooks", "expected a list, got {}"),
        ({"hooks": [7]}, "hooks[0]", "expected an object, got 7"),
        (
            {"hooks": [{"type": "a", "phase": "mutate", "timeout_ms": 0}]},
            "hooks[0].timeout_ms",
            "expected 1 … 30000, got 0",
        ),
        (
            {"hooks": [{"phase": "mutate"}]},
            "hooks[0].type",
            "missing; expected an event type such as 'tool_invoked'",
        ),
        (
            {"hooks": [{"type": "a", "phase": "mutate"}, {"type": "a", "phase": "validate"}]},
            "hooks",
            "expected a name of its own for each hook, got several named 'a'; set name",
        ),
        (
            {"hooks": [{"type": "a", "phase": "mutate", "name": f"h{n}"} for n in range(257)]},
            "hooks",
            "expected at most 256 hooks, got 257",
        ),
        (
            {"candidate_of": "guard"},
            "candidate_of",
            "expected another plugin's name, got 'guard' itself",
        ),
    ],
)
def test_what_is_wrong_with_an_announcement_is_said_with_its_place(
    change: dict[str, object], at: str, message: str
) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_announcement(json.dumps({**GOOD, **change}).encode(), "guard")

    assert caught.value.problems == (Problem(at, message),)


def test_all_problems_of_an_announcement_are_told_at_once() -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_announcement(b'{"version":"x","hooks":[{"type":"a","phase":"b"}]}', "guard")

    assert str(caught.value) == (
        "announcement of plugin 'guard': v: missing; expected 1; "
        "plugin: missing; expected the plugin's name; "
        "version: expected a SemVer version such as '1.0.0', got 'x'; "
        "instance: missing; expected a text that no other replica uses; "
        "hooks[0].phase: expected 'mutate', 'validate' or 'observe', got 'b'"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"plugin":"\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidManifest, match=r"announcement of plugin 'guard': expected a JSON"):
        parse_announcement(body, "guard")


@pytest.mark.parametrize("depth", [10, 500, 900])
def test_a_value_nested_deeply_is_refused_in_few_words(depth: int) -> None:
    value = b"[" * depth + b"]" * depth

    with pytest.raises(InvalidManifest) as caught:
        parse_announcement(b'{"v":1,"plugin":"guard","version":%s}' % value, "guard")

    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("body", [b"[]", b"null", b"1"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidManifest, match="expected an object, got"):
        parse_announcement(body, "guard")


def test_same_hooks_in_another_order_and_with_written_defaults_have_one_fingerprint() -> None:
    first = HookOptions(type="tool_invoked", phase="mutate")
    second = HookOptions(type="message_received", phase="validate")
    written_out = HookOptions(type="tool_invoked", phase="mutate", priority=100)

    assert hooks_fingerprint([first, second]) == hooks_fingerprint([second, written_out])


def test_a_changed_option_changes_the_fingerprint() -> None:
    hook = HookOptions(type="tool_invoked", phase="mutate")
    other = HookOptions(type="tool_invoked", phase="mutate", writable=("/text",))

    assert hooks_fingerprint([hook]) != hooks_fingerprint([other])
