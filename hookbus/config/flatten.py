"""The settings as rows for people: key, value, and where the value comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hookbus.config.settings import DEFAULT_ORIGIN, Settings
from hookbus.manifest.hook import HookOverlay
from hookbus.manifest.problems import join


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: ``plugins.guard.hooks.tool-invoked.priority``, ``10``, ``hookbus.toml``."""

    key: str
    value: Any
    origin: str


def flatten(settings: Settings) -> Iterator[Row]:
    """Go through *settings* in the order of the file's documentation.

    The origin is ``default``, the name of the file, or the name of an environment variable. Of a
    hook only what was written is listed; defaults that say nothing (None, no entries) are not.
    """
    origins = settings.origins
    for key, value, is_written in _rows(settings, ""):
        written_in = origins.fields.get(key) or origins.source
        yield Row(key, value, written_in if is_written else DEFAULT_ORIGIN)


def _rows(section: BaseModel, at: str) -> Iterator[tuple[str, Any, bool]]:
    written = section.model_fields_set
    for name, field in type(section).model_fields.items():
        if isinstance(section, HookOverlay) and name not in written:
            continue
        value, key = getattr(section, name), join(at, field.alias or name)
        if isinstance(value, BaseModel):
            yield from _rows(value, key)
        elif _is_named_sections(value):
            for part, inner in value.items():
                rows = list(_rows(inner, join(key, part)))
                # a section that says nothing is said all the same: an empty hook table binds
                yield from rows or [(join(key, part), {}, True)]
        elif name in written or value not in (None, {}):
            yield key, value, name in written


def _is_named_sections(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, BaseModel) for v in value.values())
