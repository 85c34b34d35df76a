"""Event types and their JSON Schemas. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import jsonschema_rs
import msgspec

from hookbus.errors import InvalidEvent, Problem
from hookbus.wire.limits import exceeds_depth

MAX_SCHEMA_BYTES: Final = 64 * 1024
MASK_KEYWORD: Final = "x-hookbus-secret"

#: The payloads of the built-in types; further keys are allowed.
BUILT_IN: Final[Mapping[str, dict[str, Any]]] = {
    "message_received": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}, "user": {"type": "string"}},
    },
    "tool_invoked": {
        "type": "object",
        "required": ["name", "args"],
        "properties": {"name": {"type": "string"}, "args": {"type": "object"}},
    },
    "response_generated": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
    },
}


class TypeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says about one event type; None is the bus's own default.

    Attributes:
        schema: JSON Schema of ``data``; None is any JSON.
        secret: JSON Pointers into ``data`` that never leave in records, logs or spans.
    """

    schema: dict[str, Any] | bool | None = None
    timeout_ms: int | None = None
    max_timeout_ms: int | None = None
    conflict: str = "last_wins"
    on_not_converged: str = "block"
    max_rounds: int = 2
    record_payload: str | None = None
    secret: tuple[str, ...] = ()


#: Where a secret field is: member names, and None for every item of an array.
SecretPath: TypeAlias = tuple[str | None, ...]


class EventType:
    """One known type with its compiled schema."""

    __slots__ = ("_validator", "name", "secrets", "settings")

    def __init__(self, name: str, settings: TypeSettings) -> None:
        self.name = name
        self.settings = settings
        self.secrets = (
            *map(_path_of, settings.secret),
            *_secret_paths(settings.schema),
        )
        self._validator = None if settings.schema is None else compile_schema(settings.schema)

    def is_valid(self, data: Any) -> bool:
        """Tell whether *data* fits the schema."""
        return self._validator is None or self._validator.is_valid(data)

    def check(self, data: Any) -> None:
        """Compare *data* with the schema.

        Raises:
            InvalidEvent: Code ``schema``, with the pointer of the first field that does not fit.
        """
        if self._validator is None or self._validator.is_valid(data):
            return
        violation = next(iter(self._validator.iter_errors(data)))
        path = ("data", *violation.instance_path, *_named_member(violation.kind))
        pointer = "".join("/" + str(t).replace("~", "~0").replace("/", "~1") for t in path)
        raise InvalidEvent(violation.message, code="schema", pointer=pointer)


def _named_member(kind: Any) -> tuple[str, ...]:
    """A missing or surplus member is the field that is wrong, not the object around it."""
    if kind.name == "required":
        return (kind.property,)
    if kind.name in ("additionalProperties", "unevaluatedProperties"):
        return (kind.unexpected[0],)
    return ()


class Catalog:
    """The types of one generation."""

    __slots__ = ("_types",)

    def __init__(self, types: Mapping[str, TypeSettings]) -> None:
        known = {name: TypeSettings(schema=schema) for name, schema in BUILT_IN.items()}
        for name, settings in types.items():
            if settings.schema is None and name in BUILT_IN:
                settings = msgspec.structs.replace(settings, schema=BUILT_IN[name])
            known[name] = settings
        self._types = {name: EventType(name, settings) for name, settings in known.items()}

    def get(self, name: str) -> EventType:
        """Look a type up.

        Raises:
            InvalidEvent: Code ``unknown_type``; the message lists what is known.
        """
        event_type = self._types.get(name)
        if event_type is None:
            known = ", ".join(sorted(self._types)[:20])
            raise InvalidEvent(
                f"{name!r} is not a type of this bus; known are {known};"
                " a table [types.NAME] in the settings makes one known",
                code="unknown_type",
                pointer="/type",
            )
        return event_type

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._types.values())


def _path_of(pointer: str) -> SecretPath:
    tokens = pointer.split("/")[1:]
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _secret_paths(schema: Any, above: SecretPath = ()) -> Iterator[SecretPath]:
    """Find ``x-hookbus-secret: true`` under ``properties`` and ``items``."""
    if not isinstance(schema, dict):
        return
    if schema.get(MASK_KEYWORD) is True:
        yield above
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield from _secret_paths(inner, (*above, name))
    yield from _secret_paths(schema.get("items"), (*above, None))


def compile_schema(schema: dict[str, Any] | bool) -> Any:
    """Compile a JSON Schema; it may refer to nothing outside itself.

    Raises:
        ValueError: Not a schema, too large, or it refers to something outside.
    """
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_SCHEMA_BYTES:
        raise ValueError(f"schema of {len(encoded)} bytes, at most {MAX_SCHEMA_BYTES}")
    if exceeds_depth(encoded, 64):
        raise ValueError("schema nested deeper than 64 levels")
    # Remote references are on by default in jsonschema-rs, file:// too, and so are regular
    # expressions that backtrack.
    return jsonschema_rs.validator_for(
        schema,
        validate_formats=True,
        retriever=_refuse,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="the value",  # values may be secret or large, and messages travel
    )


def check_schema(schema: dict[str, Any] | bool, at: str) -> tuple[Problem, ...]:
    """Say what is wrong with a schema, for a person."""
    try:
        compile_schema(schema)
    except ValueError as e:  # jsonschema_rs's own errors are of this class
        return (Problem(at, f"expected a JSON Schema: {str(e).splitlines()[0]}"),)
    return ()


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri!r}; put the definition under $defs")
