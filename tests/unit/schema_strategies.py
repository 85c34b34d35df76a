"""Small schemas and small data, so that one often says something about the other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
SCALARS: tuple[Any, ...] = (None, True, False, -1, 0, 1, 1.0, 2, 3, 0.5, 1.5, "", "a", "ab", "bbb")
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
DEFINITIONS = ("one", "two")

scalars = st.sampled_from(SCALARS)
names = st.sampled_from(NAMES)
counts = st.integers(0, 3)
bounds = st.sampled_from((-1, 0, 0.5, 1, 1.5, 2))

#: JSON of at most some levels.
data: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def _keywords(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    several = st.lists(inner, min_size=1, max_size=2)
    return {
        "type": st.sampled_from(TYPES)
        | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
        "enum": st.lists(data, min_size=1, max_size=3),
        "const": scalars,
        "minimum": bounds,
        "maximum": bounds,
        "exclusiveMinimum": bounds,
        "exclusiveMaximum": bounds,
        "multipleOf": st.sampled_from((1, 2, 0.5, 3)),
        "minLength": counts,
        "maxLength": counts,
        "pattern": st.sampled_from(("^a", "b$", ".*")),
        "format": st.sampled_from(("date", "uuid", "no-such-format")),
        "minItems": counts,
        "maxItems": counts,
        "uniqueItems": st.booleans(),
        "items": inner,
        "prefixItems": several,
        "contains": inner,
        "minContains": counts,
        "maxContains": counts,
        "properties": st.dictionaries(names, inner, max_size=3),
        "patternProperties": st.dictionaries(st.sampled_from(("^a", "b", "")), inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "required": st.lists(names, max_size=2, unique=True),
        "minProperties": counts,
        "maxProperties": counts,
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True)),
        "dependentSchemas": st.dictionaries(names, inner, max_size=1),
        "unevaluatedProperties": inner,
        "unevaluatedItems": inner,
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "$ref": st.sampled_from(("#", *(f"#/$defs/{name}" for name in DEFINITIONS))),
    }


def _common(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """What most schemas have, so that it is there more often."""
    known = _keywords(inner)
    common = ("type", "properties", "required", "additionalProperties", "items", "anyOf", "$ref")
    return {name: known[name] for name in common}


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def pick(table: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[Any]:
        chosen = st.lists(st.sampled_from(sorted(table)), max_size=most, unique=True)
        return chosen.flatmap(lambda picked: st.fixed_dictionaries({k: table[k] for k in picked}))

    pair = st.tuples(pick(_common(inner), 3), pick(_keywords(inner), 2))
    return pair.map(lambda parts: {**parts[0], **parts[1]})


schemas_inside: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | _object(st.booleans()), _object, max_leaves=4
)

#: Whole schemas, with the definitions that they refer to.
schemas = st.tuples(
    _object(schemas_inside), st.fixed_dictionaries(dict.fromkeys(DEFINITIONS, schemas_inside))
).map(lambda parts: {**parts[0], "$defs": parts[1]})


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """The same schema but for one or two places, which are left out, or others."""
    for _ in range(draw(st.integers(1, 2))):
        schema = _changed(draw, schema)
    return schema


def _changed(draw: st.DrawFn, schema: Any) -> Any:
    if isinstance(schema, list) and schema:
        index = draw(st.integers(0, len(schema) - 1))
        action = draw(st.sampled_from(("inside", "remove", "add")))
        if action == "inside":
            return [*schema[:index], _changed(draw, schema[index]), *schema[index + 1 :]]
        if action == "remove" and len(schema) > 1:
            return [*schema[:index], *schema[index + 1 :]]
        return [*schema, draw(schemas_inside)] if isinstance(schema[0], dict) else schema
    if not isinstance(schema, dict) or not schema:
        return draw(schemas_inside) if isinstance(schema, dict | bool) else schema
    key = draw(st.sampled_from(sorted(schema)))
    match draw(st.sampled_from(("inside", "inside", "remove", "add"))):
        case "inside":
            return {**schema, key: _changed(draw, schema[key])}
        case "remove" if key not in ("$defs", *DEFINITIONS):
            return {name: value for name, value in schema.items() if name != key}
    return {**schema, **draw(_object(schemas_inside))}
