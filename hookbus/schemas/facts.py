"""What schemas say about one value and its parts, put together. Pure.

Every fact is true of whatever fits; what a schema says beyond them is left out. So what follows
from facts follows from the schemas, and what does not may follow all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from math import floor
from typing import Any, Final, NamedTuple

from hookbus.schemas.compiled import compile_part, compile_schema, escape
from hookbus.schemas.places import Schema, referred

#: The types of JSON; a number with a fraction is none that JSON Schema names.
KINDS: Final = ("object", "string", "integer", "array", "boolean", "null", "fraction")
_FLAT: Final = ("allOf", "$ref")
_NUMBERS: Final = ("integer", "fraction")


class Limit(NamedTuple):
    """A bound of a number; *is_open* leaves the bound itself out."""

    value: float
    is_open: bool


class Part:
    """A schema that stands at *pointer* of *root*; or of none, and refers to nothing."""

    __slots__ = ("_compiled", "pointer", "root", "schema")

    def __init__(self, schema: Any, pointer: str = "", root: Schema | None = None) -> None:
        self.schema = schema
        self.pointer = pointer
        self.root = root
        self._compiled: Any = None

    def at(self, *path: str | int) -> Part:
        """The part at *path* below."""
        found = self.schema
        for token in path:
            found = found[token]
        return Part(found, self.pointer + "".join(f"/{escape(t)}" for t in path), self.root)

    def without(self, *keywords: str) -> Part:
        """The same place, saying less; what fits is still what the whole schema says."""
        if not any(keyword in self.schema for keyword in keywords):
            return self
        rest = {k: v for k, v in self.schema.items() if k not in keywords}
        return Part(rest, self.pointer, self.root)

    def fits(self, value: Any) -> bool:
        """Tell whether *value* fits.

        Raises:
            ValueError: It cannot be compiled.
        """
        if self._compiled is None:
            if self.root is None:
                self._compiled = compile_schema(self.schema)
            else:
                self._compiled = compile_part(self.root, self.pointer)
        return bool(self._compiled.is_valid(value))

    @property
    def target(self) -> Part | None:
        """What its `$ref` refers to, if that can be found."""
        found = None if self.root is None else referred(self.root, str(self.schema["$ref"]))
        return None if found is None else Part(found[1], found[0], self.root)


class Facts:
    """What holds of a value that fits all of *said*.

    Attributes:
        parts: the schemas as objects, those in `allOf` and behind `$ref` as well.
        is_nothing: no value fits.
    """

    def __init__(self, said: Iterable[Part]) -> None:
        self.said = tuple(said)
        seen: set[str] = set()
        flat = [part for one in self.said for part in _flat(one, seen)]
        self.is_nothing = any(part.schema is False for part in flat)
        self.parts = [part for part in flat if isinstance(part.schema, Mapping)]

    @cached_property
    def values(self) -> list[Any] | None:
        """The only values that it may have, if they are listed; more than fit, perhaps."""
        listed = [part.schema["enum"] for part in self.parts if "enum" in part.schema]
        listed += [[part.schema["const"]] for part in self.parts if "const" in part.schema]
        if not listed:
            return None
        return [value for value in min(listed, key=len) if all(p.fits(value) for p in self.said)]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The types that it may be of."""
        found = frozenset(KINDS)
        for part in self.parts:
            found &= kinds_of(part.schema)
        if self.integral:
            found -= {"fraction"}
        return found

    @property
    def integral(self) -> bool:
        return any(step == 1 for step in self.every("multipleOf"))

    def every(self, keyword: str) -> list[Any]:
        """What each schema says under *keyword*."""
        return [part.schema[keyword] for part in self.parts if keyword in part.schema]

    @property
    def required(self) -> dict[str, None]:
        return {name: None for names in self.every("required") for name in names}

    @property
    def names(self) -> dict[str, None]:
        """Of members that a schema tells something about."""
        return {name: None for table in self.every("properties") for name in table}

    def member(self, name: str) -> tuple[Part, ...]:
        """What is said of the member of that name."""
        return tuple(said for part in self.parts for said in _of_member(part, name))

    def other(self, patterns: frozenset[str] = frozenset()) -> tuple[Part, ...]:
        """What is said of a member that nobody names, and that none of the *patterns* matches."""
        return tuple(
            part.at("additionalProperties")
            for part in self.parts
            if "additionalProperties" in part.schema
            and patterns.issuperset(part.schema.get("patternProperties", ()))
        )

    def pattern(self, pattern: str) -> tuple[Part, ...]:
        """What is said of members whose names match just that pattern."""
        return tuple(
            part.at("patternProperties", pattern)
            for part in self.parts
            if pattern in part.schema.get("patternProperties", ())
        )

    def item(self, index: int | None) -> tuple[Part, ...]:
        """What is said of the item at *index*; None is one behind all that have their own."""
        return tuple(said for part in self.parts for said in _of_item(part, index))

    @property
    def longest_prefix(self) -> int:
        return max((len(listed) for listed in self.every("prefixItems")), default=0)

    def lowest(self, keyword: str) -> Any:
        """The smallest of what is said under *keyword*, None without any."""
        return min(self.every(keyword), default=None)

    def highest(self, keyword: str) -> Any:
        return max(self.every(keyword), default=None)

    @property
    def at_least(self) -> Limit | None:
        """The lower bound of a number."""
        found = [Limit(value, False) for value in self.every("minimum")]
        found += [Limit(value, True) for value in self.every("exclusiveMinimum")]
        if not found:
            return None
        limit = max(found)
        is_whole = "fraction" not in self.kinds
        return Limit(floor(limit.value) + 1, False) if is_whole and limit.is_open else limit

    @property
    def at_most(self) -> Limit | None:
        """The upper bound of a number."""
        found = [Limit(value, False) for value in self.every("maximum")]
        found += [Limit(value, True) for value in self.every("exclusiveMaximum")]
        if not found:
            return None
        limit = min(found, key=lambda one: (one.value, not one.is_open))
        is_whole = "fraction" not in self.kinds
        return Limit(-floor(-limit.value) - 1, False) if is_whole and limit.is_open else limit

    def alternatives(self) -> list[tuple[Part, ...]] | None:
        """Split by the first `anyOf` or `oneOf`: what is said in each case; None without any."""
        for index, part in enumerate(self.parts):
            for keyword in ("anyOf", "oneOf"):
                if keyword in part.schema:
                    others = (*self.parts[:index], *self.parts[index + 1 :])
                    # the others are flat already: what is behind a reference must not come again
                    rest = (part.without(keyword, *_FLAT), *(p.without(*_FLAT) for p in others))
                    count = len(part.schema[keyword])
                    return [(part.at(keyword, case), *rest) for case in range(count)]
        return None


def kinds_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The types that `type` allows."""
    named = schema.get("type")
    if named is None:
        return frozenset(KINDS)
    listed = [named] if isinstance(named, str) else named
    return frozenset(kind for name in listed for kind in _kinds(name))


def kind_of(value: Any) -> str:
    """The type of a value: ``1.0`` is an integer, as JSON Schema has it."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "fraction"
        case str():
            return "string"
        case None:
            return "null"
    return "array" if isinstance(value, list) else "object"


def _kinds(name: str) -> tuple[str, ...]:
    return _NUMBERS if name == "number" else (name,)


def _flat(part: Part, seen: set[str]) -> Iterator[Part]:
    """Yield *part* and what it says by `allOf` and `$ref`, each once: twice is no more."""
    yield part
    if not isinstance(part.schema, Mapping):
        return
    inner = [part.at("allOf", index) for index in range(len(part.schema.get("allOf", ())))]
    if "$ref" in part.schema and (target := part.target) is not None:
        inner.append(target)
    for one in inner:
        if one.pointer not in seen:
            seen.add(one.pointer)
            yield from _flat(one, seen)


def _of_member(part: Part, name: str) -> Iterator[Part]:
    if name in part.schema.get("properties", ()):
        yield part.at("properties", name)
    # which patterns match is the validator's to say
    elif "additionalProperties" in part.schema and not part.schema.get("patternProperties"):
        yield part.at("additionalProperties")


def _of_item(part: Part, index: int | None) -> Iterator[Part]:
    own = len(part.schema.get("prefixItems", ()))
    if index is not None and index < own:
        yield part.at("prefixItems", index)
    elif "items" in part.schema:
        yield part.at("items")
