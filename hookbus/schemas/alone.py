"""What a schema says of a value on its own: does it follow from facts? Pure.

Each function yields what does not seem to follow, with values to try it with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from hookbus.patches.values import equal
from hookbus.schemas.facts import KINDS, Facts, Part, kinds_of
from hookbus.schemas.places import referred
from hookbus.schemas.trying import (
    Values,
    around,
    arrays,
    full,
    multiples,
    of_kinds,
    repeated,
    texts,
    those,
    typical,
    without,
)

MAX_SHOWN: Final = 80  # characters of a value in a message

#: Keywords that mean the same wherever they stand, together with those beside them that they need.
_TOGETHER: Final = (
    ("not",),
    ("oneOf",),
    ("if", "then", "else"),
    ("dependentSchemas",),
    ("dependentRequired",),
    ("propertyNames",),
    ("contains", "minContains", "maxContains"),
    ("pattern",),
    ("format",),
    ("multipleOf",),
    ("dependencies",),
)
#: Of those the ones that say something about one type of value only.
_ABOUT: Final = {
    "dependentSchemas": "object",
    "dependentRequired": "object",
    "dependencies": "object",
    "propertyNames": "object",
    "contains": "array",
    "pattern": "string",
}
#: What depends on all that stands around it.
_WHOLE: Final = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a new schema says that does not seem to follow.

    Attributes:
        pointer: of the keyword in the new schema.
        message: what was allowed and what is now, for a person.
        tried: makes values that may have fitted and fit no more.
    """

    pointer: str
    message: str
    tried: Values = tuple


Findings: TypeAlias = Iterator[Finding]


def alone(facts: Facts, new: Part) -> Findings:
    """Look at all that *new* says of the value itself, and not of its parts."""
    yield from _types(facts, new)
    for group in _TOGETHER:
        if group[0] in new.schema and not _is_said(facts, new, group):
            yield _not_said(facts, new, group[0])
    for keyword in _WHOLE:
        if keyword in new.schema and new.schema[keyword] is not True:
            yield cannot_tell(facts, new, keyword)
    if {"integer", "fraction"} & facts.kinds:
        yield from _numbers(facts, new)
    if "string" in facts.kinds:
        yield from _lengths(facts, new, "Length", "characters")
    if "array" in facts.kinds:
        yield from _lengths(facts, new, "Items", "items")
        yield from _uniqueness(facts, new)
    if "object" in facts.kinds:
        yield from _members(facts, new)


def quoted(value: Any) -> str:
    """Write a JSON value for a message, cut when it is long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def one_by_one(values: Iterable[Any], new: Part) -> list[Finding]:
    """What may only be one of a few values is tried with each."""
    return [
        Finding(new.pointer, f"it may no longer be {quoted(value)}", those(value))
        for value in values
        if not new.fits(value)
    ]


def _types(facts: Facts, new: Part) -> Findings:
    lost = facts.kinds - kinds_of(new.schema)
    if lost:
        message = f"was {_named(facts.kinds)}, now {_named(kinds_of(new.schema))}"
        kinds = [kind for kind in KINDS if kind in lost]
        yield Finding(f"{new.pointer}/type", message, partial(of_kinds, facts, kinds))
    for keyword in ("enum", "const"):
        if keyword in new.schema:
            message = f"only {quoted(new.schema[keyword])} now; before any {_named(facts.kinds)}"
            yield Finding(f"{new.pointer}/{keyword}", message, partial(typical, facts))


def _named(kinds: frozenset[str]) -> str:
    """``{"integer", "fraction", "null"} → "number or null"``"""
    if len(kinds) == len(KINDS):
        return "anything"
    words = ["number" if kind == "fraction" else kind for kind in KINDS if kind in kinds]
    if "fraction" in kinds and "integer" in kinds:
        words.remove("integer")
    return " or ".join(words)


def _numbers(facts: Facts, new: Part) -> Findings:
    schema, low, high = new.schema, facts.at_least, facts.at_most
    for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
        bound = schema.get(keyword)
        if bound is None or (low is not None and low >= (bound, is_open)):
            continue
        said = f"now {'above' if is_open else 'at least'} {bound}; before {_bound(low, 'from')}"
        yield Finding(f"{new.pointer}/{keyword}", said, around(bound, low))
    for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
        bound = schema.get(keyword)
        if bound is None or (high is not None and _is_within(high, bound, is_open)):
            continue
        said = f"now {'below' if is_open else 'at most'} {bound}; before {_bound(high, 'to')}"
        yield Finding(f"{new.pointer}/{keyword}", said, around(bound, high))


def _is_within(high: Any, bound: Any, is_open: bool) -> bool:
    if high.value == bound:
        return high.is_open or not is_open
    return bool(high.value < bound)


def _bound(limit: Any, word: str) -> str:
    if limit is None:
        return "without a limit"
    return f"{word} {limit.value}{' (not that itself)' if limit.is_open else ''}"


def _lengths(facts: Facts, new: Part, what: str, unit: str) -> Findings:
    """Compare how long texts or arrays may be."""
    least, most = new.schema.get(f"min{what}"), new.schema.get(f"max{what}")
    low, high = facts.highest(f"min{what}"), facts.lowest(f"max{what}")
    if least and (low is None or low < least):
        said = f"now at least {least} {unit}; before {low or 0}"
        tried = _of_lengths(facts, what, (low or 0, least - 1))
        yield Finding(f"{new.pointer}/min{what}", said, tried)
    if most is not None and (high is None or high > most):
        said = f"now at most {most} {unit}; before {'any number' if high is None else high}"
        tried = _of_lengths(facts, what, (most + 1, most + 1 if high is None else high))
        yield Finding(f"{new.pointer}/max{what}", said, tried)


def _of_lengths(facts: Facts, what: str, lengths: tuple[Any, ...]) -> Values:
    return partial(texts, lengths) if what == "Length" else partial(arrays, facts, lengths)


def _uniqueness(facts: Facts, new: Part) -> Findings:
    is_new = new.schema.get("uniqueItems") is True and True not in facts.every("uniqueItems")
    most = facts.lowest("maxItems")
    if is_new and (most is None or most > 1):
        said = "no item may come twice now"
        yield Finding(f"{new.pointer}/uniqueItems", said, partial(repeated, facts))


def _members(facts: Facts, new: Part) -> Findings:
    """Compare which members must be there, and how many."""
    for name in new.schema.get("required", ()):
        if name not in facts.required:
            said = f"{quoted(name)} is required now"
            yield Finding(f"{new.pointer}/required", said, partial(without, facts, name))
    least, most = new.schema.get("minProperties"), new.schema.get("maxProperties")
    low = max(facts.highest("minProperties") or 0, len(facts.required))
    if least and low < least:
        said = f"now at least {least} fields; before {low}"
        yield Finding(f"{new.pointer}/minProperties", said, partial(of_kinds, facts, ["object"]))
    high = facts.lowest("maxProperties")
    if most is not None and (high is None or high > most):
        said = f"now at most {most} fields; before {'any number' if high is None else high}"
        yield Finding(f"{new.pointer}/maxProperties", said, partial(full, facts, most))


def _is_said(facts: Facts, new: Part, group: tuple[str, ...]) -> bool:
    """Tell whether an old schema says just the same by these keywords, or they say nothing here."""
    first, schema = group[0], new.schema
    if first in _ABOUT and _ABOUT[first] not in facts.kinds:
        return True
    match first:
        case "multipleOf" if _is_multiple(facts, schema[first]):
            return True
        case "dependentRequired":
            needed = [name for names in schema[first].values() for name in names]
            if facts.required.keys() >= set(needed):
                return True
        case "contains" if schema.get("minContains") == 0 and "maxContains" not in schema:
            return True
        case "if" if schema.get("then", True) is True and schema.get("else", True) is True:
            return True
    return _same_by(facts, new, group)


def _same_by(facts: Facts, new: Part, group: tuple[str, ...]) -> bool:
    said = Part(_picked(new.schema, group), new.pointer, new.root)
    old = [part for part in facts.parts if group[0] in part.schema]
    return any(is_same(Part(_picked(p.schema, group), p.pointer, p.root), said) for p in old)


def _picked(schema: Mapping[str, Any], group: tuple[str, ...]) -> dict[str, Any]:
    return {keyword: schema[keyword] for keyword in group if keyword in schema}


def _is_multiple(facts: Facts, step: Any) -> bool:
    if not {"integer", "fraction"} & facts.kinds:
        return True
    if step == 1 and "fraction" not in facts.kinds:
        return True
    return any(
        said == step or (isinstance(said, int) and isinstance(step, int) and said % step == 0)
        for said in facts.every("multipleOf")
    )


def _not_said(facts: Facts, new: Part, keyword: str) -> Finding:
    value = new.schema[keyword]
    tried: Values = partial(typical, facts)
    match keyword:
        case "pattern":
            said = f"has to match {quoted(value)} now"
        case "format":
            said = f"has to be a {quoted(value)} now"
        case "multipleOf":
            said = f"has to be a multiple of {value} now"
            tried = partial(multiples, facts, value)
        case _:
            said = f"{keyword} is another one now, which this check cannot follow"
    return Finding(f"{new.pointer}/{keyword}", said, tried)


def cannot_tell(facts: Facts, new: Part, keyword: str) -> Finding:
    said = f"{keyword} is not followed by this check"
    return Finding(f"{new.pointer}/{keyword}", said, partial(typical, facts))


def split(facts: Facts) -> Iterator[list[str] | str]:
    """The types that it may be of, each on its own."""
    kinds = facts.kinds
    yield from (kind for kind in KINDS if kind in kinds - {"fraction", "integer"})
    if numbers := kinds & {"fraction", "integer"}:
        yield "number" if "fraction" in numbers else "integer"


def is_same(old: Part, new: Part) -> bool:
    """Tell whether two schemas say the same, word for word, what they refer to included."""
    pairs = [(old.schema, new.schema)]
    seen: set[str] = set()
    while pairs:
        one, other = pairs.pop()
        if not equal(one, other):
            return False
        for reference in _references(one):
            if reference in seen:
                continue
            seen.add(reference)
            was = None if old.root is None else referred(old.root, reference)
            now = None if new.root is None else referred(new.root, reference)
            if was is None or now is None:
                return False
            pairs.append((was[1], now[1]))
    return True


def _references(schema: Any) -> Iterator[str]:
    """Yield all that a schema refers to; in its data, too, which does no harm."""
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, Mapping):
        for keyword, value in schema.items():
            if keyword in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
