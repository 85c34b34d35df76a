"""What is wrong with an emitter's options is said when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus import Emitter, SyncEmitter

WRONG = [
    pytest.param({"source": ""}, "source: expected a URI reference", id="source"),
    pytest.param({"source": "/x", "principal": "No Name"}, "principal: expected", id="principal"),
    pytest.param(
        {"source": "/x", "on_unavailable": "panic"}, "on_unavailable: expected", id="unavailable"
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_an_emitter_with_a_wrong_option_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Emitter.connect("nats://127.0.0.1:1", **options)


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_sync_emitter_with_a_wrong_option_is_an_error_at_once(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SyncEmitter("nats://127.0.0.1:1", **options)


def test_a_sync_emitter_connects_to_nothing_before_its_first_emit() -> None:
    SyncEmitter("nats://127.0.0.1:1", source="/x").close()
