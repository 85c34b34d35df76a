"""`hookbus types add` where a file owns the settings: it prints what to write there."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hookbus.cli.errors import UsageError
from hookbus.cli.types import add
from hookbus.errors import ControlError
from hookbus.testing import MemoryBroker, MemoryTransport

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}


def test_what_a_file_that_owns_the_settings_has_to_say_is_printed_to_the_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*arguments: Any, **members: Any) -> None:
        raise ControlError("the file 'a.toml' owns the settings; change that file", code="owned")

    monkeypatch.setattr(add, "request", refuse)

    with pytest.raises(UsageError, match="owns the settings") as error:
        asyncio.run(
            add._add(MemoryTransport(MemoryBroker()), "ops", "order_placed", SCHEMA, False, False)
        )

    text = str(error.value)
    said = tomllib.loads(text[text.index("[types") :])
    assert said == {"types": {"order_placed": {"schema": SCHEMA}}}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("order_placed.json", "order_placed"),
        ("order_placed.schema.json", "order_placed"),
        ("schemas/shop.order_placed.json", "shop.order_placed"),
        ("shop.order_placed.schema.json", "shop.order_placed"),
    ],
)
def test_the_type_is_the_name_of_the_file_without_its_ending(file: str, name: str) -> None:
    assert add._name(Path(file), None) == name


@pytest.mark.parametrize("file", ["order_placed", "order_placed.toml", "order_placed.json.txt"])
def test_a_file_of_another_ending_names_no_type(file: str) -> None:
    with pytest.raises(
        UsageError, match=r"expected TYPE\.json or TYPE\.schema\.json; or say --type"
    ):
        add._name(Path(file), None)
    assert add._name(Path(file), "order_placed") == "order_placed"


def test_the_type_may_be_said_instead() -> None:
    assert add._name(Path("v2.json"), "order_placed") == "order_placed"
