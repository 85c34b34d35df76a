"""Payloads to try a plugin with, made from an event type's JSON Schema. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from hookbus.catalog import BUILT_IN, EventType, TypeSettings
from hookbus.schemas.samples import TEXT, make
from hookbus.subjects import type_matches

Schema: TypeAlias = Mapping[str, Any] | bool | None

#: Harmless payloads of the built-in types.
SAMPLES: Final[Mapping[str, Any]] = {
    "message_received": {"text": "hello from a conformance check", "user": "conformance"},
    "tool_invoked": {"name": "shell", "args": {"command": "ls"}},
    "response_generated": {"text": "hello from a conformance check"},
}


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
        return SAMPLES.get(event_type, {"text": TEXT})
    checked = dict(schema) if isinstance(schema, Mapping) else schema
    made = SAMPLES.get(event_type)
    compiled = EventType(event_type, TypeSettings(schema=checked))
    if made is None or not compiled.is_valid(made):
        made = make(schema)
    if not compiled.is_valid(made):
        raise NoSample(f"no payload could be made that fits the schema of {event_type!r}")
    return made
