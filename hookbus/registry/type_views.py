"""What the registry tells operators of the event types. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from hookbus.catalog import BUILT_IN, TypeSettings
from hookbus.config.flatten import flatten
from hookbus.config.settings import Settings
from hookbus.errors import ControlError
from hookbus.manifest.problems import join, shown
from hookbus.registry.configuration import Made
from hookbus.registry.type_changes import schemas
from hookbus.schemas.secret_fields import SecretPath, secret_paths
from hookbus.snapshot import Limits
from hookbus.subjects import type_matches

#: In a pointer to secret fields: every item of an array, and every member that is not named.
EVERY = "*"


def types_view(made: Made) -> list[dict[str, Any]]:
    """Tell of every known type, the built-in ones first."""
    settings, document = made.state.settings, made.bound.document
    origins = {row.key: row.origin for row in flatten(settings)}
    return [
        {
            **_type(name, schema, document.types.get(name, TypeSettings()), document.limits),
            "record_payload": settings.record_payload(name),
            "origin": _origin(name, settings, origins),
            "hooks": [
                {"plugin": b.plugin, "hook": b.hook, "phase": b.phase, "mode": b.mode}
                for b in document.bindings
                if type_matches(b.type, name)
            ],
        }
        for name, schema in schemas(settings).items()
    ]


def unknown_type(asked: object, known: Iterable[str]) -> ControlError:
    """Name what may have been meant."""
    near = get_close_matches(asked, known, n=1) if isinstance(asked, str) else []
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    return ControlError(
        f"{shown(asked)} is not a type of this bus; {hint}", code="unknown_type", pointer="/type"
    )


def _type(
    name: str, schema: Mapping[str, Any] | None, said: TypeSettings, limits: Limits
) -> dict[str, Any]:
    longest = said.max_timeout_ms or limits.max_timeout_ms
    return {
        "name": name,
        "builtin": schema is not None and schema is BUILT_IN.get(name),
        "schema": schema,
        "secret": list(dict.fromkeys([*said.secret, *map(_pointer, secret_paths(schema))])),
        "timeout_ms": min(said.timeout_ms or limits.timeout_ms, longest),
        "max_timeout_ms": longest,
        "conflict": said.conflict,
        "on_not_converged": said.on_not_converged,
        "max_rounds": said.max_rounds,
    }


def _origin(name: str, settings: Settings, origins: Mapping[str, str]) -> str:
    """Say where the schema is from, or what made the type known."""
    if said := origins.get(join("types", name, "schema")):
        return said
    return "built-in" if name in BUILT_IN else settings.origins.source


def _pointer(path: SecretPath) -> str:
    steps = [step if isinstance(step, str) else EVERY for step in path]
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
