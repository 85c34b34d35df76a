"""What of an event is kept for later questions (record_payload)."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from hookbus.catalog import TypeSettings
from hookbus.decision_log.records import decision_of, shadow_of
from hookbus.dispatch.inputs import input_of
from hookbus.dispatch.task import Task, task_of
from hookbus.errors import InvalidEvent
from hookbus.schemas.secret_fields import secret_paths
from hookbus.schemas.secret_values import MASK, without_secrets
from hookbus.snapshot import ConfigDocument, Limits, Snapshot
from hookbus.wire.call import decode_call, decode_observed
from hookbus.wire.event import decode_event
from hookbus.wire.input import decode_input, encode_input

DATA = {"text": "hi", "user": {"email": "bob@example.com", "tags": ["a", "b"]}}

EVENT = {"specversion": "1.0", "id": "1", "source": "/chat", "type": "chat.sent", "data": DATA}


def task(
    said: str | None = None, default: str = "none", secret: tuple[str, ...] = (), **members: Any
) -> Task:
    types = {"chat.sent": TypeSettings(record_payload=said, secret=secret)}
    document = ConfigDocument(types=types, limits=Limits(record_payload=default))
    body = msgspec.json.encode({**EVENT, **members})
    inbound = decode_event(body, None, "chat", "chat.sent")
    return task_of(inbound, Snapshot.of(1, document), "d1", 0.0, 1.0)


@pytest.mark.parametrize(
    ("said", "default", "is_kept"),
    [("none", "full", False), (None, "none", False), ("full", "none", True), (None, "full", True)],
)
def test_the_type_says_whether_an_input_is_kept_and_else_the_bus(
    said: str | None, default: str, is_kept: bool
) -> None:
    assert (input_of(task(said, default), "d1") is not None) == is_kept


def test_a_full_input_is_the_event_as_it_came_with_its_principal_and_decision() -> None:
    asked = task("full", secret=("/user",), subject="room/1")

    kept = input_of(asked, "d1")

    assert kept is not None
    assert asked.inbound.body in kept  # its very bytes
    decoded = decode_input(kept)
    assert (decoded.principal, decoded.decision, decoded.masked) == ("chat", "d1", ())
    assert decoded.event["subject"] == "room/1"


def test_a_masked_input_has_all_but_its_secret_fields() -> None:
    kept = input_of(task("masked", secret=("/user/email", "/user/tags/1", "/missing")), "d1")

    assert kept is not None
    assert b"bob@example.com" not in kept
    decoded = decode_input(kept)
    assert decoded.event["data"] == {"text": "hi", "user": {"email": MASK, "tags": ["a", MASK]}}
    assert decoded.masked == ("/user/email", "/user/tags/1")


def test_a_word_that_a_newer_registry_writes_gives_nothing_away() -> None:
    kept = input_of(task("digest", secret=("/user",)), "d1")

    assert kept is not None
    assert b"bob@example.com" not in kept


def test_a_dry_run_is_no_input() -> None:
    assert input_of(task("full", hbdryrun=True), "d1") is None


@pytest.mark.parametrize(
    ("pointers", "expected"),
    [
        (("/user/email", "/user"), ("/user",)),
        (("/user", "/user/email"), ("/user",)),
        (("",), ("",)),
        ((), ()),
    ],
)
def test_a_secret_within_a_secret_is_gone_with_it(
    pointers: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    paths = [tuple(p.split("/")[1:]) for p in pointers]

    masked, named = without_secrets(DATA, paths)

    assert named == expected
    assert b"bob@" not in msgspec.json.encode(masked) or not pointers
    assert DATA["user"] == {"email": "bob@example.com", "tags": ["a", "b"]}


def test_names_that_sort_between_a_secret_and_what_is_in_it_do_not_matter() -> None:
    data = {"a": {"b": 1}, "a-b": 2, "a/": 3}

    masked, _ = without_secrets(data, [("a", "b"), ("a-b",), ("a",), ("a/",)])

    assert masked == {"a": MASK, "a-b": MASK, "a/": MASK}


def test_fifty_thousand_secret_items_are_masked_within_a_second() -> None:
    schema = {"properties": {"all": {"items": {"x-hookbus-secret": True}}}}
    data = {"all": list(range(50_000))}

    started = time.process_time()
    masked, pointers = without_secrets(data, secret_paths(schema))

    assert time.process_time() - started < 2.0
    assert masked["all"] == [MASK] * 50_000
    assert len(pointers) == 50_000


def test_an_input_is_taken_for_no_other_message() -> None:
    """Whoever may read the stream can have it delivered to any subject."""
    data = msgspec.json.encode({**EVENT, "id": "d", "outcome": "block", "phase": "observe"})
    kept = encode_input("chat", "d1", (), data)

    assert decision_of("hookbus.decision.block.x", kept) is None
    assert shadow_of(kept) is None
    for decode in (decode_call, decode_observed):
        with pytest.raises(msgspec.ValidationError):
            decode(kept)
    with pytest.raises(InvalidEvent):
        decode_event(kept, None, "chat", "chat.sent")
