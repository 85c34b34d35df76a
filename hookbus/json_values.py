"""Which values JSON can say as they are, and where something else stands. Pure.

The encoder would write NaN as null, a set as a list, bytes as base64, a Decimal as a text and the
key 1 as "1": whoever reads it would judge something other than what the writer goes on with.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from pydantic import BaseModel

EXPECTED: Final = "expected a text, a number, true, false, None, a list or a dict"


class NotJson(ValueError):
    """A value that JSON cannot say.

    Attributes:
        pointer: JSON Pointer of the value, below what was looked at.
        message: what was found there and what was expected.
    """

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"at {pointer!r}: {message}" if pointer else message)
        self.pointer = pointer
        self.message = message


def plain(data: Any) -> Any:
    """Turn a payload model into JSON values; what was never set stays away.

    Raises:
        NotJson: The model holds what JSON cannot say.
    """
    if not isinstance(data, BaseModel):
        return data
    try:
        values = data.model_dump(mode="json", by_alias=True, exclude_unset=True)
    except ValueError as e:
        raise NotJson("", str(e)) from e
    # pydantic too writes NaN as null, so it has to be looked for in what the model holds
    held = data.model_dump(by_alias=True, exclude_unset=True)
    if not _is_json(held) and (problem := _unsaid_number(held, "")):
        raise problem
    return values


def check(value: Any) -> None:
    """Accept JSON values, and nothing that would only become some on the way.

    Raises:
        NotJson: With the pointer of the first value that is none.
    """
    try:
        if _is_json(value):
            return
        problem = _problem(value, "")
    except RecursionError:
        raise NotJson("", "expected at most 64 levels, got data that is nested in itself") from None
    if problem is not None:
        raise problem


def locate(value: Any, error: Exception) -> NotJson:
    """Say where in *value* the encoder found what it raised *error* about."""
    if isinstance(error, RecursionError):
        return NotJson("", "expected at most 64 levels, got data that is nested in itself")
    return _problem(value, "") or NotJson("", f"cannot be sent as JSON: {error}")


def _is_json(value: Any) -> bool:
    """Settle nearly every value at once; False only means that it takes a closer look."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not (type(inner) is str or _is_json(inner)):
                return False
        return True
    if kind is float:
        return isfinite(value)
    return (kind is list or kind is tuple) and all(map(_is_json, value))


def _problem(value: Any, pointer: str) -> NotJson | None:
    if isinstance(value, str):
        return _half_character(value, pointer)
    if isinstance(value, float):
        return _unsaid_number(value, pointer)
    if value is None or isinstance(value, int):
        return None
    if isinstance(value, list | tuple):
        return _first(_problem(v, f"{pointer}/{n}") for n, v in enumerate(value))
    if not isinstance(value, dict):
        return NotJson(pointer, f"{EXPECTED}, got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            found = f"{key!r} ({type(key).__name__})"
            return NotJson(pointer, f"expected keys that are texts, got {found}")
        if problem := _half_character(key, pointer):
            return problem
    return _first(_problem(v, f"{pointer}/{_token(k)}") for k, v in value.items())


def _first(problems: Iterable[NotJson | None]) -> NotJson | None:
    return next((problem for problem in problems if problem is not None), None)


def _half_character(text: str, pointer: str) -> NotJson | None:
    try:
        text.encode()
    except UnicodeEncodeError as e:
        found = f"half of a surrogate pair, {text[e.start]!r}, as character {e.start}"
        return NotJson(pointer, f"expected a text that UTF-8 can say, got {found}")
    return None


def _unsaid_number(value: Any, pointer: str) -> NotJson | None:
    if isinstance(value, float) and not isfinite(value):
        return NotJson(pointer, f"expected a finite number, got {value!r}")
    if isinstance(value, dict):
        return _first(_unsaid_number(v, f"{pointer}/{_token(str(k))}") for k, v in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return _first(_unsaid_number(v, f"{pointer}/{n}") for n, v in enumerate(value))
    return None


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
