"""Payloads to try a plugin with, made from an event type's JSON Schema. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from hookbus.catalog import BUILT_IN, EventType, TypeSettings
from hookbus.subjects import type_matches

Schema: TypeAlias = Mapping[str, Any] | bool | None

#: Harmless payloads of the built-in types.
SAMPLES: Final[Mapping[str, Any]] = {
    "message_received": {"text": "hello from a conformance check", "user": "conformance"},
    "tool_invoked": {"name": "shell", "args": {"command": "ls"}},
    "response_generated": {"text": "hello from a conformance check"},
}
MAX_LEVELS: Final = 16  # of a schema that refers to itself

_TEXT: Final = "hello"


class NoSample(LookupError):
    """No payload could be made; the text says why."""


def pick_type(pattern: str, known: Iterable[str]) -> str:
    """Choose an event type that *pattern* asks for: a built-in one, a known one, or a made-up one.

    ``">" → "message_received"``, ``"chat.*" → "chat.sent"`` if that is known
    """
    fitting = (name for name in (*BUILT_IN, *sorted(known)) if type_matches(pattern, name))
    made_up = pattern.replace("*", "conformance").replace(">", "conformance")
    return next(fitting, made_up)


def sample(event_type: str, schema: Schema) -> Any:
    """Make a payload that fits *schema*; None is the built-in one, or any JSON.

    Raises:
        NoSample: What was made does not fit.
    """
    if schema is None:
        return SAMPLES.get(event_type, {"text": _TEXT})
    checked = dict(schema) if isinstance(schema, Mapping) else schema
    made = SAMPLES.get(event_type)
    compiled = EventType(event_type, TypeSettings(schema=checked))
    if made is None or not compiled.is_valid(made):
        made = _make(schema, schema, MAX_LEVELS)
    if not compiled.is_valid(made):
        raise NoSample(f"no payload could be made that fits the schema of {event_type!r}")
    return made


def _make(schema: Any, root: Any, levels: int) -> Any:
    """Follow what a schema says most plainly; whether that was enough is checked afterwards."""
    if not isinstance(schema, Mapping) or levels == 0:
        return {}
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("allOf", "anyOf", "oneOf"):
        if schema.get(keyword):
            return _make({**_plain(schema, keyword), **schema[keyword][0]}, root, levels - 1)
    if "$ref" in schema:
        return _make(_referred(schema["$ref"], root), root, levels - 1)
    return _of_type(schema, root, levels)


def _plain(schema: Mapping[str, Any], keyword: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != keyword}


def _referred(reference: str, root: Any) -> Any:
    """``"#/$defs/user"`` and nothing further away."""
    found = root
    for token in reference.removeprefix("#").split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _of_type(schema: Mapping[str, Any], root: Any, levels: int) -> Any:
    named = schema.get("type", "object" if "properties" in schema else "string")
    kind = named[0] if isinstance(named, list) and named else named
    if kind == "object":
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        return {name: _make(properties.get(name, {}), root, levels - 1) for name in required}
    if kind == "array":
        item = _make(schema.get("items", {}), root, levels - 1)
        return [item] * schema.get("minItems", 0)
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("maximum", 1))
    if kind == "boolean":
        return True
    return None if kind == "null" else _text(schema)


def _text(schema: Mapping[str, Any]) -> str:
    formats = {
        "date-time": "2026-11-21T10:00:00Z",
        "date": "2026-11-21",
        "email": "someone@example.org",
        "uri": "https://example.org/",
        "uuid": "0190a1b2-0000-7000-8000-000000000000",
    }
    text = formats.get(schema.get("format", ""), _TEXT)
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
