"""Event types and their JSON Schemas. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from hookbus.errors import InvalidEvent
from hookbus.schemas.compiled import compile_schema, escape
from hookbus.schemas.problems import check_schema as check_schema
from hookbus.schemas.secret_fields import SecretPath, secret_paths

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


class EventType:
    """One known type with its compiled schema."""

    __slots__ = ("_validator", "name", "secrets", "settings")

    def __init__(self, name: str, settings: TypeSettings) -> None:
        self.name = name
        self.settings = settings
        self.secrets = (
            *map(_path_of, settings.secret),
            *secret_paths(settings.schema),
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
        pointer = "".join(f"/{escape(token)}" for token in path)
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
                f" `hookbus types add {name}.json`, or a table [types.NAME] in the settings, makes"
                " one known",
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
