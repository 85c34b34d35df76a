"""All that is wrong with the schema of an event type, for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hookbus.errors import Problem
from hookbus.schemas.compiled import DIALECT, breaches, compile_part, compile_schema, escape
from hookbus.schemas.effort import MAX_LOOKS, takes_too_long
from hookbus.schemas.places import every, referred
from hookbus.schemas.secret_fields import secret_problems

_EXPECTED: Final = "expected a JSON Schema"
_TOO_LONG: Final = (
    f"one value may be looked at more than {MAX_LOOKS} times, so that one event could hold the bus:"
    " references that lead to references twice double it each time; say it without"
)
MAX_PATTERNS: Final = 100  # each may take some megabytes when it is compiled
_OTHER_DIALECTS: Final = {
    "$schema": "is for the whole schema: leave it out inside",
    "$recursiveRef": "2020-12 does not know it: use $dynamicRef",
    "$recursiveAnchor": "2020-12 does not know it: use $dynamicAnchor",
    "dependencies": "2020-12 does not know it: use dependentRequired or dependentSchemas",
}
_ONE_OF: Final = "one of object, array, string, number, integer, boolean, null, or a list of them"


def check_schema(schema: Mapping[str, Any] | bool, at: str) -> tuple[Problem, ...]:
    """Say all that is wrong with a schema at once; *at* is where it stands.

    Messages have the JSON Pointer of what is wrong in the schema.
    """
    found = dict.fromkeys(_problems(schema))
    return tuple(Problem(at, f"{pointer}: {said}" if pointer else said) for pointer, said in found)


def _problems(schema: Mapping[str, Any] | bool) -> Iterator[tuple[str, str]]:
    try:
        if isinstance(schema, Mapping):
            dialect = schema.get("$schema", DIALECT)
            if not isinstance(dialect, str) or dialect.removesuffix("#") != DIALECT:
                yield "", f"{_EXPECTED}: /$schema: expected 2020-12, {DIALECT!r}, or no $schema"
                return
        compile_schema(schema)
    except ValueError as e:  # jsonschema_rs's own errors are of this class
        wrong: list[tuple[str, str]] = []
        # a plain ValueError is ours: the schema is too large or too deep to look for more
        if type(e) is not ValueError and isinstance(schema, Mapping):
            wrong = [*breaches(schema), *_dangling(schema)]
        around = "".join(f"/{escape(token)}" for token in getattr(e, "instance_path", ()))
        wrong = [(at, _ONE_OF if at.endswith("/type") else said) for at, said in wrong]
        for pointer, said in wrong or [(around, str(e).splitlines()[0])]:
            yield "", f"{_EXPECTED}: {pointer}: {said}" if pointer else f"{_EXPECTED}: {said}"
        return
    if isinstance(schema, Mapping):
        if foreign := list(_foreign(schema)):
            yield from foreign
            return
        if takes_too_long(schema):
            yield "", _TOO_LONG
            return
        yield from secret_problems(schema)
        yield from _wrong_examples(schema)


def _foreign(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what other dialects know, and what is checked by nobody: all that follows is 2020-12."""
    places = {place.pointer: place.schema for place in every(schema)}
    names: set[str] = set()
    patterns = 0
    for at, found in places.items():
        if not isinstance(found, Mapping):
            continue
        patterns += ("pattern" in found) + len(found.get("patternProperties", ()))
        for keyword, why in _OTHER_DIALECTS.items():
            if keyword in found and (at or keyword != "$schema"):
                yield f"{at}/{keyword}", why
        for keyword in ("$anchor", "$dynamicAnchor"):
            if (name := found.get(keyword)) in names:
                yield f"{at}/{keyword}", f"{name!r} is the name of another place, too"
            if name is not None:
                names.add(name)
        reference = found.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            target = referred(schema, reference)
            if target is not None and target[0] not in places:
                yield f"{at}/$ref", f"{reference!r} is no place of a schema; put it under $defs"
    if patterns > MAX_PATTERNS:
        yield "", f"{patterns} patterns, at most {MAX_PATTERNS}"


def _dangling(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place in every(schema):
        reference = place.schema.get("$ref") if isinstance(place.schema, Mapping) else None
        if isinstance(reference, str) and referred(schema, reference) is None:
            yield (
                f"{place.pointer}/$ref",
                f"{reference!r} is not in this schema, and a schema may refer to nothing outside"
                " itself: put the definition under $defs",
            )


def _wrong_examples(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An example is what people copy: it must fit the schema that it stands in."""
    for place in every(schema):
        if not isinstance(place.schema, Mapping) or "examples" not in place.schema:
            continue
        compiled = compile_part(schema, place.pointer)
        for index, example in enumerate(place.schema["examples"]):
            wrong = next(compiled.iter_errors(example), None)
            if wrong is not None:
                inside = "".join(f"/{escape(token)}" for token in wrong.instance_path)
                where = f"at {inside!r} " if inside else ""
                said = f"this example does not fit its schema: {where}{wrong.message}"
                yield f"{place.pointer}/examples/{index}", said
