"""What JSON can say as it is, and where something stands that it cannot."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from hookbus import MessageReceived
from hookbus.json_values import NotJson, check, locate, plain


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Order(BaseModel):
    amount: float
    tags: set[str] = set()


def nested_in_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["me"] = value
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "text",
        5,
        2**70,
        1.5,
        [],
        {},
        {"a": [1, {"b": (None, "c")}], "": 0.0},
        {"e": Colour.RED, Colour.RED: Level.LOW},
    ],
)
def test_json_values_pass(value: Any) -> None:
    check(value)


@pytest.mark.parametrize(
    ("value", "pointer", "message"),
    [
        (math.nan, "", "expected a finite number, got nan"),
        ({"a": [0, math.inf]}, "/a/1", "expected a finite number, got inf"),
        ({"a/b": {"~": -math.inf}}, "/a~1b/~0", "expected a finite number, got -inf"),
        ({"a": {1}}, "/a", "got set"),
        ({"a": b"x"}, "/a", "got bytes"),
        ({"a": Decimal("1.1")}, "/a", "got Decimal"),
        ([object()], "/0", "got object"),
        ({"a": {1: 2}}, "/a", "expected keys that are texts, got 1 (int)"),
        ({("a", "b"): 2}, "", "expected keys that are texts, got ('a', 'b') (tuple)"),
        (nested_in_itself(), "", "nested in itself"),
    ],
)
def test_what_would_arrive_as_something_else_is_named_with_its_place(
    value: Any, pointer: str, message: str
) -> None:
    with pytest.raises(NotJson) as wrong:
        check(value)

    assert wrong.value.pointer == pointer
    assert message in wrong.value.message


@pytest.mark.parametrize(
    ("value", "pointer"), [({"a": ["ok", "x\ud800"]}, "/a/1"), ({"a": {"x\ud800": 1}}, "/a")]
)
def test_half_a_character_that_the_encoder_found_is_located(value: Any, pointer: str) -> None:
    problem = locate(value, UnicodeEncodeError("utf-8", "", 0, 1, ""))

    assert problem.pointer == pointer
    assert problem.message == (
        "expected a text that UTF-8 can say, "
        "got half of a surrogate pair, '\\ud800', as character 1"
    )


def test_a_model_becomes_json_values_without_what_was_never_set() -> None:
    assert plain(MessageReceived(text="hi")) == {"text": "hi"}
    assert plain(Order(amount=1.5, tags={"a"})) == {"amount": 1.5, "tags": ["a"]}
    assert plain({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("model", "pointer"),
    [
        (Order(amount=math.nan), "/amount"),
        (MessageReceived.model_validate({"text": "hi", "n": [{"x": math.inf}]}), "/n/0/x"),
    ],
)
def test_a_number_that_a_model_would_turn_into_null_is_named(
    model: BaseModel, pointer: str
) -> None:
    with pytest.raises(NotJson) as wrong:
        plain(model)

    assert wrong.value.pointer == pointer


def test_a_model_that_holds_what_json_cannot_say_is_none() -> None:
    with pytest.raises(NotJson, match="object"):
        plain(MessageReceived.model_validate({"text": "hi", "x": object()}))


def test_a_user_of_none_is_a_user_that_is_not_said() -> None:
    assert plain(MessageReceived(text="hi", user=None)) == {"text": "hi"}
    assert plain(MessageReceived(text="hi", user="u1")) == {"text": "hi", "user": "u1"}
