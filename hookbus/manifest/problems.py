"""What pydantic found wrong, in the words of the protocol. Pure."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeGuard, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hookbus.errors import Problem

MAX_SHOWN: Final = 80  # characters of a value in a message

#: Kinds of pydantic errors → what was expected.
_EXPECTED: Final[Mapping[str, str]] = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "list_type": "a list",
    "mapping_type": "an object",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
    "tuple_type": "a list",
}
#: plain repr() of what a stranger sent can be megabytes, or nested until Python gives up
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MAX_SHOWN
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], raw: object, at: str = "") -> Model | tuple[Problem, ...]:
    """Make a *model* of what was decoded, or say everything that is wrong with it.

    *at* is where *raw* stands in the whole document: ``"hooks[0]"``.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        return problems_of(error, model, at)


def problems_of(
    error: ValidationError, model: type[BaseModel], at: str = ""
) -> tuple[Problem, ...]:
    """Translate *error*, raised for *model*, into problems in the order of the fields."""
    return tuple(
        Problem(join(at, *details["loc"]), _message(details, model))
        for details in error.errors(include_url=False)
    )


def join(at: str, *path: str | int) -> str:
    """Write down a place: ``"", "hooks", 0, "type" → "hooks[0].type"``

    Keys that TOML would quote are quoted: ``types."chat.sent".schema``.
    """
    for part in path:
        if isinstance(part, int):
            at += f"[{part}]"
        elif part != "[key]":  # pydantic's mark: the key itself is wrong
            key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
            at = f"{at}.{key}" if at else key
    return at


def shown(value: object) -> str:
    """Write a value for a message, cut when it is long or deep."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits; TOML has 0xfff…
        return "an integer of thousands of digits"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context, found = details["type"], details.get("ctx", {}), shown(details["input"])
    match kind:
        case "value_error":  # our own validators speak for themselves
            return str(context["error"])
        case "missing":
            return _missing(model, details["loc"])
        case "extra_forbidden":
            return _unknown_key(model, details["loc"])
        case "literal_error":
            return f"expected {context['expected']}, got {found}"
        case _ if kind in _EXPECTED:
            return f"expected {_EXPECTED[kind]}, got {found}"
        case _:
            return f"{details['msg'][:1].lower()}{details['msg'][1:]}, got {found}"


def _missing(model: type[BaseModel], path: Sequence[str | int]) -> str:
    section = _section_at(model, path[:-1])
    description = section.model_fields[str(path[-1])].description
    return f"missing; expected {description or 'a value'}"


def _unknown_key(model: type[BaseModel], path: Sequence[str | int]) -> str:
    section = _section_at(model, path[:-1])
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key; {hint}"


def _section_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Find the model that stands at *path*; lists and mappings of models are walked through."""
    section: type[BaseModel] = model
    steps = iter(path)
    for name in steps:
        annotation = section.model_fields[str(name)].annotation
        if _is_model(annotation):
            section = annotation
        else:
            section = next(filter(_is_model, get_args(annotation)))
            next(steps, None)  # the key in the mapping, or the index in the list
    return section


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
