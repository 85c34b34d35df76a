"""The configuration document: equal ones give equal bytes, too large ones are refused."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hookbus.catalog import TypeSettings
from hookbus.errors import HookbusError
from hookbus.snapshot import (
    MAX_DOCUMENT_BYTES,
    Binding,
    ConfigDocument,
    Limits,
    Snapshot,
    decode_document,
    encode_document,
)


def binding(plugin: str, **options: Any) -> Binding:
    said: dict[str, Any] = {
        "hook": "h",
        "version": "1.0.0",
        "type": "message_received",
        "phase": "validate",
    }
    return Binding(plugin=plugin, **{**said, **options})


def test_a_document_survives_the_way_through_the_store() -> None:
    document = ConfigDocument(
        bindings=(binding("a", priority=-3, on_failure="open"),),
        types={"order_placed": TypeSettings(schema={"type": "object"}, secret=("/x",))},
        limits=Limits(timeout_ms=5),
    )

    assert decode_document(encode_document(document)) == document


def test_equal_documents_give_equal_bytes_whatever_the_order_of_their_types() -> None:
    one = ConfigDocument(types={"a_done": TypeSettings(), "b_done": TypeSettings()})
    other = ConfigDocument(types={"b_done": TypeSettings(), "a_done": TypeSettings()})

    assert encode_document(one) == encode_document(other)


def test_ten_thousand_bindings_fit() -> None:
    document = ConfigDocument(bindings=tuple(binding(f"plugin-{n}") for n in range(10_000)))

    assert len(encode_document(document)) < MAX_DOCUMENT_BYTES


def test_a_document_that_is_too_large_is_refused_with_both_sizes() -> None:
    schema = {"description": os.urandom(600_000).hex()}
    document = ConfigDocument(types={"x_done": TypeSettings(schema=schema)})

    with pytest.raises(HookbusError, match=r"takes \d{6} bytes compressed, at most 524288"):
        encode_document(document)


def test_hooks_that_are_off_are_not_asked() -> None:
    document = ConfigDocument(bindings=(binding("a", mode="off"), binding("b")))

    hooks = Snapshot.of(1, document).hooks_for("message_received")

    assert [hook.plugin for hook in hooks] == ["b"]


@pytest.mark.parametrize(
    ("pattern", "is_asked"),
    [
        ("message_received", True),
        (">", True),
        ("*", True),
        ("tool_invoked", False),
        ("*.message_received", False),
    ],
)
def test_a_hook_is_asked_about_the_types_that_match_its_pattern(
    pattern: str, is_asked: bool
) -> None:
    document = ConfigDocument(bindings=(binding("a", type=pattern),))

    hooks = Snapshot.of(1, document).hooks_for("message_received")

    assert bool(hooks) is is_asked
