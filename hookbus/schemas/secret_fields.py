"""Where `x-hookbus-secret` leads to in the data. Pure.

What is marked must be found, or the schema is refused: a mark that masks nothing is a leak.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from hookbus.schemas.compiled import escape
from hookbus.schemas.places import DATA, Place, Schema, Step, every, inner, referred

MARK: Final = "x-hookbus-secret"
MAX_PATHS: Final = 1_000  # definitions that refer to others twice each double them
MAX_STEPS: Final = 20_000  # that are followed to find them

#: Where a secret field is, as steps from the data to it.
SecretPath: TypeAlias = tuple[Step, ...]

#: Keywords that say what a schema is by a way of their own; no mark is followed through them.
_ASIDE: Final = {
    "$dynamicRef": "a `$dynamicRef` may lead to a secret field: use `$ref`",
    "$id": "an `$id` inside changes what references mean: leave it out where fields are secret",
}


def secret_paths(schema: Any) -> tuple[SecretPath, ...]:
    """Find the paths of all that is marked, as far as :func:`secret_problems` finds nothing."""
    if not _has_mark(schema):
        return ()
    return tuple(dict.fromkeys(_Walk(schema).paths))


def secret_problems(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield pointer and words of each mark that is wrong, or cannot be followed."""
    if not _has_mark(schema):
        return
    places = {place.pointer: place.schema for place in every(schema)}
    for at, found in places.items():
        if not isinstance(found, Mapping):
            continue
        if MARK in found and not isinstance(found[MARK], bool):
            yield f"{at}/{MARK}", f"expected true or false, got {type(found[MARK]).__name__}"
        for keyword, why in _ASIDE.items():
            if keyword in found and (at or keyword != "$id"):
                yield f"{at}/{keyword}", why
    walk = _Walk(schema)
    yield from walk.problems.items()
    for at in _marks(schema, ""):
        if at not in walk.reached and f"{at}/{MARK}" not in walk.problems:
            yield (
                f"{at}/{MARK}",
                "would mask nothing: it is reached neither from the type's data by `properties`,"
                " `items` and the like, nor by a `$ref`; name the field in"
                ' [types.NAME] secret = ["/field"]',
            )


class _Walk:
    """Follows the schemas that are about the data, through references too."""

    def __init__(self, schema: Schema) -> None:
        self.root = schema
        self.paths: list[SecretPath] = []
        self.reached: set[str] = set()
        self.problems: dict[str, str] = {}
        self._steps = 0
        self._follow(Place("", schema, ()), (), ())

    def _follow(self, place: Place, path: SecretPath, above: tuple[str, ...]) -> None:
        at, schema = place.pointer, place.schema
        self._steps += 1
        if not isinstance(schema, Mapping) or len(self.paths) > MAX_PATHS:
            return
        if self._steps > MAX_STEPS:
            self.problems.setdefault("", "too many ways lead through its $refs to secret fields")
            return
        if at in above:
            self._refuse_recursion(at)
            return
        self.reached.add(at)
        if schema.get(MARK) is True:
            self.paths.append(path)
            if len(self.paths) > MAX_PATHS:
                self.problems[f"{at}/{MARK}"] = f"more than {MAX_PATHS} fields are secret by it"
        for found in (*inner(schema, at), *self._references(schema, at)):
            if found.steps is not None:
                self._follow(found, (*path, *found.steps), (*above, at))

    def _references(self, schema: Mapping[str, Any], at: str) -> Iterator[Place]:
        if not isinstance(reference := schema.get("$ref"), str):
            return
        found = referred(self.root, reference)
        if found is None:
            self.problems[f"{at}/$ref"] = "where it leads, secret fields are not found: use #/$defs"
        else:
            yield Place(*found, ())

    def _refuse_recursion(self, at: str) -> None:
        """What contains itself may be of any depth; without a secret that is nobody's concern."""
        for found in self._reachable(at):
            if isinstance(found.schema, Mapping) and found.schema.get(MARK) is True:
                self.problems[f"{found.pointer}/{MARK}"] = (
                    f"is in a schema that contains itself (#{at}), so that nobody can say where the"
                    " secret fields are; mark what is around it"
                )

    def _reachable(self, at: str) -> Iterator[Place]:
        start = referred(self.root, f"#{at}")
        waiting = [Place(*start, ())] if start else []
        seen: set[str] = set()
        while waiting:
            place = waiting.pop()
            if place.pointer in seen or not isinstance(place.schema, Mapping):
                continue
            seen.add(place.pointer)
            yield place
            waiting += [p for p in inner(place.schema, place.pointer) if p.steps is not None]
            waiting += self._references(place.schema, place.pointer)


def _has_mark(schema: Any) -> bool:
    return next(_marks(schema, ""), None) is not None


def _marks(value: Any, at: str) -> Iterator[str]:
    """Yield where a mark stands, in keywords that nobody knows as well; data is no schema."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _marks(item, f"{at}/{index}")
    elif isinstance(value, Mapping):
        if MARK in value and value[MARK] is not False:
            yield at
        for name, member in value.items():
            if name in ("properties", "patternProperties", "$defs", "definitions"):
                yield from _marks_of_table(member, f"{at}/{name}")
            elif name not in DATA:
                yield from _marks(member, f"{at}/{escape(name)}")


def _marks_of_table(table: Any, at: str) -> Iterator[str]:
    """The keys are names of fields: one may be called like the mark."""
    if isinstance(table, Mapping):
        for name, schema in table.items():
            yield from _marks(schema, f"{at}/{escape(name)}")
