"""Where schemas stand in a schema, and what a reference refers to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from hookbus.schemas.compiled import escape

Schema: TypeAlias = Mapping[str, Any] | bool

#: A step from a value to a part of it: a member's name, an item's index, None for every item, and
#: for every member but those that are named a set of these.
Step: TypeAlias = str | frozenset[str] | None

EVERY_MEMBER: Final[frozenset[str]] = frozenset()

#: Keywords whose value is a schema of the very same value.
SAME: Final = ("if", "then", "else")
#: The same for lists and for objects of schemas.
SAME_LISTS: Final = ("allOf", "anyOf", "oneOf")
SAME_TABLES: Final = ("dependentSchemas",)
#: Keywords about every item, of whatever index.
ITEMS: Final = ("items", "contains", "unevaluatedItems")
#: What says nothing of a part of the data: the value must not be so, a name, the text's content.
ASIDE: Final = ("not", "propertyNames", "contentSchema")
TABLES: Final = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE: Final = (
    "additionalProperties",
    "unevaluatedProperties",
    *ITEMS,
    *SAME,
    *ASIDE,
)
#: Keywords whose value is data, or a list of data.
DATA: Final = ("examples", "default", "const", "enum")


@dataclass(frozen=True, slots=True)
class Place:
    """A schema in a schema.

    Attributes:
        pointer: JSON Pointer from the root of the schema.
        steps: from the value that the schema around is about to the one that this is about; None
            says nothing of either.
    """

    pointer: str
    schema: Any
    steps: tuple[Step, ...] | None


def inner(schema: Mapping[str, Any], at: str) -> Iterator[Place]:
    """Yield every schema that stands directly in *schema*, whose pointer is *at*."""
    yield from _same(schema, at)
    for name, member in _table(schema, "properties"):
        yield Place(f"{at}/properties/{escape(name)}", member, (name,))
    named = frozenset(name for name, _ in _table(schema, "properties"))
    for pattern, member in _table(schema, "patternProperties"):
        # every member: too much is masked rather than too little
        yield Place(f"{at}/patternProperties/{escape(pattern)}", member, (EVERY_MEMBER,))
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            yield Place(f"{at}/{keyword}", schema[keyword], (named,))
    for index, item in enumerate(_list(schema, "prefixItems")):
        yield Place(f"{at}/prefixItems/{index}", item, (str(index),))
    for keyword in ITEMS:
        if keyword in schema:
            yield Place(f"{at}/{keyword}", schema[keyword], (None,))
    for keyword in ASIDE:
        if keyword in schema:
            yield Place(f"{at}/{keyword}", schema[keyword], None)
    for keyword in ("$defs", "definitions"):
        for name, member in _table(schema, keyword):
            yield Place(f"{at}/{keyword}/{escape(name)}", member, None)


def _same(schema: Mapping[str, Any], at: str) -> Iterator[Place]:
    for keyword in SAME:
        if keyword in schema:
            yield Place(f"{at}/{keyword}", schema[keyword], ())
    for keyword in SAME_LISTS:
        for index, part in enumerate(_list(schema, keyword)):
            yield Place(f"{at}/{keyword}/{index}", part, ())
    for keyword in SAME_TABLES:
        for name, part in _table(schema, keyword):
            yield Place(f"{at}/{keyword}/{escape(name)}", part, ())


def every(schema: Any, at: str = "") -> Iterator[Place]:
    """Yield *schema* and every schema in it, wherever it stands."""
    yield Place(at, schema, ())
    if isinstance(schema, Mapping):
        for place in inner(schema, at):
            yield from every(place.schema, place.pointer)


def referred(root: Schema, reference: str) -> tuple[str, Any] | None:
    """Find what ``#``, ``#/pointer`` or ``#anchor`` refers to, with its pointer; else None."""
    if not reference.startswith("#"):
        return None
    fragment = unquote(reference[1:])
    if fragment and not fragment.startswith("/"):
        return _anchored(root, fragment)
    found: Any = root
    for token in fragment.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return fragment, found


def _anchored(root: Schema, name: str) -> tuple[str, Any] | None:
    return _anchors(_Same(root)).get(name)


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A schema that is equal to itself alone."""

    root: Schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.root is other.root

    def __hash__(self) -> int:
        return id(self.root)


@lru_cache(maxsize=4)  # a large schema may have thousands of references
def _anchors(same: _Same) -> dict[str, tuple[str, Any]]:
    """Find every named place, the first of a name."""
    found: dict[str, tuple[str, Any]] = {}
    for place in every(same.root):
        if isinstance(place.schema, Mapping):
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := place.schema.get(keyword), str):
                    found.setdefault(name, (place.pointer, place.schema))
    return found


def _table(schema: Mapping[str, Any], keyword: str) -> list[tuple[str, Any]]:
    found = schema.get(keyword)
    return list(found.items()) if isinstance(found, Mapping) else []


def _list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []
