"""Data that schemas most plainly ask for; whether it fits is checked by who uses it. Pure."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from hookbus.schemas.facts import KINDS, Facts, Part, kind_of
from hookbus.schemas.places import Schema

MAX_LEVELS: Final = 16  # of a schema that refers to itself
MAX_PARTS: Final = 200  # of one value
MAX_ITEMS: Final = 1_000  # that are made, and characters

TEXT: Final = "hello"
_FORMATS: Final = {
    "date": "2026-11-21",
    "date-time": "2026-11-21T10:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "time": "10:00:00Z",
    "uri": "https://example.org/",
    "uuid": "0190a1b2-0000-7000-8000-000000000000",
}


def make(schema: Schema) -> Any:
    """Follow what *schema* says most plainly."""
    return make_of((Part(schema, "", schema),))


def make_of(said: tuple[Part, ...], kind: str | None = None) -> Any:
    """Make a value that does what all of *said* says; of *kind* if one is given."""
    return _Maker().make(said, kind, MAX_LEVELS)


class _Maker:
    """Makes one value; what is too large or too deep ends in null."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def make(self, said: tuple[Part, ...], kind: str | None, levels: int) -> Any:
        self._left -= 1
        if levels == 0 or self._left < 0:
            return None
        facts = Facts(said)
        for listed in (facts.every("default"), *facts.every("examples"), facts.values or ()):
            for value in listed:
                if kind in (None, kind_of(value)) and all(part.fits(value) for part in said):
                    return value
        if (cases := facts.alternatives()) is not None:
            return self.make(cases[0], kind, levels - 1)
        kind = kind or next((kind for kind in KINDS if kind in facts.kinds), "null")
        return self._of_kind(facts, kind, levels - 1)

    def _of_kind(self, facts: Facts, kind: str, levels: int) -> Any:
        match kind:
            case "object":
                return {
                    name: self.make(facts.member(name), None, levels) for name in facts.required
                }
            case "array":
                count = int(min(MAX_ITEMS, facts.highest("minItems") or 0))
                return [self.make(facts.item(index), None, levels) for index in range(count)]
            case "string":
                return _text(facts)
            case "integer":
                return _integer(facts)
            case "fraction":
                return _integer(facts) + 0.5
            case "boolean":
                return True
        return None


def _integer(facts: Facts) -> Any:
    low, high = facts.at_least, facts.at_most
    step = facts.highest("multipleOf") or 1
    if low is not None:
        start = low.value + step if low.is_open else low.value
        return ceil(start / step) * step
    if high is not None:
        start = high.value - step if high.is_open else high.value
        return (start // step) * step
    return step


def _text(facts: Facts) -> str:
    text = next((_FORMATS[f] for f in facts.every("format") if f in _FORMATS), TEXT)
    longest = facts.lowest("maxLength")
    text = text.ljust(min(MAX_ITEMS, int(facts.highest("minLength") or 0)), "x")
    return text if longest is None else text[: int(longest)]
