"""Verdicts as a handler makes them: what cannot be one is an error where it is written."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus import Block


@pytest.mark.parametrize("name", ["reason", "code", "message"])
@pytest.mark.parametrize("value", [5, b"x", ["x"], object()])
def test_a_block_takes_texts_only(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"Block: {name}: expected a text, got "):
        Block(**{name: value})


def test_a_block_needs_no_text() -> None:
    assert Block() == Block("", None, None)
