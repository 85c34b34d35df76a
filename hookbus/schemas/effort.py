"""How often one value is looked at to check it: references to references double that. Pure.

A schema of 2 KB can make one event of ten bytes hold whoever checks it for hours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hookbus.schemas.places import Place, Schema, every, inner

MAX_LOOKS: Final = 5_000  # at one value
MAX_STEPS: Final = 200_000  # to find that out
MAX_SHAPES: Final = 5_000  # sets of schemas that one value is looked at with

_REFERENCES: Final = ("$ref", "$dynamicRef")


class _TooMuch(Exception):
    pass


def takes_too_long(schema: Schema) -> bool:
    """Tell whether some value may be looked at more than MAX_LOOKS times."""
    try:
        _Walk(schema).all_shapes()
    except _TooMuch:
        return True
    return False


class _Walk:
    """Goes from the schemas of one value to those of its parts, until nothing new is found."""

    def __init__(self, schema: Schema) -> None:
        self._schemas: dict[str, Any] = {}
        self._anchors: dict[str, str] = {}
        for place in every(schema):
            self._schemas[place.pointer] = place.schema
            if isinstance(place.schema, Mapping):
                for keyword in ("$anchor", "$dynamicAnchor"):
                    self._anchors.setdefault(str(place.schema.get(keyword)), place.pointer)
        self._steps = 0

    def all_shapes(self) -> None:
        """Visit every set of schemas that a value may be looked at with, each once.

        Raises:
            _TooMuch: One is too large, or there are too many.
        """
        waiting = [Counter([""])]
        seen = set()
        while waiting:
            looks = self._looks(waiting.pop())
            for part in self._parts(looks):
                shape = frozenset(part.items())
                if shape not in seen:
                    seen.add(shape)
                    waiting.append(part)
            if len(seen) > MAX_SHAPES:
                raise _TooMuch

    def _looks(self, given: Counter[str]) -> Counter[str]:
        """Count how often each schema looks at a value that those *given* look at."""
        looks: Counter[str] = Counter()

        def look(at: str, times: int, above: tuple[str, ...]) -> None:
            self._steps += 1
            looks[at] += times
            if looks.total() > MAX_LOOKS or self._steps > MAX_STEPS:
                raise _TooMuch
            if at not in above:  # what refers to itself without a step is looked at once
                for pointer in self._same(at):
                    look(pointer, times, (*above, at))

        for at, times in given.items():
            look(at, times, ())
        return looks

    def _same(self, at: str) -> Iterator[str]:
        """Yield the schemas that look at the same value because the one at *at* does."""
        schema = self._schemas.get(at)
        if not isinstance(schema, Mapping):
            return
        for place in inner(schema, at):
            if place.steps == ():
                yield place.pointer
        if "not" in schema:
            yield f"{at}/not"
        for keyword in _REFERENCES:
            if isinstance(reference := schema.get(keyword), str):
                fragment = reference.partition("#")[2]
                is_pointer = not fragment or fragment.startswith("/")
                yield fragment if is_pointer else self._anchors.get(fragment, "")

    def _parts(self, looks: Counter[str]) -> Iterator[Counter[str]]:
        """Yield, for each kind of part of a value, the schemas that look at that."""
        named: defaultdict[Any, Counter[str]] = defaultdict(Counter)
        others: list[tuple[frozenset[str], str, int]] = []
        for at, times in looks.items():
            for place in self._deeper(at):
                [step] = place.steps or (None,)
                if isinstance(step, frozenset):
                    others.append((step, place.pointer, times))
                else:
                    named[step][place.pointer] += times
        for step in (*named, frozenset()):
            part = Counter(named.get(step, {}))
            if step is not None:
                for excluded, pointer, times in others:
                    if step not in excluded:
                        part[pointer] += times
            if part:
                yield part

    def _deeper(self, at: str) -> Iterator[Place]:
        schema = self._schemas.get(at)
        if isinstance(schema, Mapping):
            for place in inner(schema, at):
                self._steps += 1
                if place.steps:
                    yield place
