"""What one generation of the configuration changed of the one before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hookbus.config.flatten import flatten
from hookbus.config.settings import DEFAULT_ORIGIN
from hookbus.errors import SettingsError
from hookbus.manifest.problems import join
from hookbus.registry.configuration import Generation
from hookbus.registry.views import plain
from hookbus.snapshot import Binding

MAX_CHANGES: Final = 100  # that are listed of one generation

#: Of a binding: its names, and what only says how long a mode lasts.
_NO_OPTIONS: Final = ("plugin", "hook", "version", "origin", "mode_until", "mode_then")
_DEFAULTS: Final = msgspec.to_builtins(
    Binding(plugin="", hook="", version="", type="", phase="observe")
)


def history_view(kept: Sequence[Generation], wanted: int) -> list[dict[str, Any]]:
    """Tell of the last *wanted* generations who made them and what they changed, newest first.

    Each is ``{generation, at, by, what, changes: [{key, before, after}], more}``; null is not
    there. Of the oldest that is kept nobody knows any more what it changed: its changes are null.
    """
    shown = kept[-wanted:] if wanted else []
    before = kept[-wanted - 1] if 0 < wanted < len(kept) else None
    found = []
    for generation in shown:
        found.append(_entry(before, generation))
        before = generation
    return found[::-1]


def _entry(before: Generation | None, generation: Generation) -> dict[str, Any]:
    made = generation.document.made
    changes = _changes(before, generation)
    return {
        "generation": generation.number,
        "at": made.at if made else None,
        "by": made.by if made else None,
        "what": made.what if made else None,
        "changes": changes if changes is None else changes[:MAX_CHANGES],
        "more": 0 if changes is None else max(0, len(changes) - MAX_CHANGES),
    }


def _changes(before: Generation | None, after: Generation) -> list[dict[str, Any]] | None:
    if before is None and after.number != 1:
        return None
    # where some are kept no more, plugins made them: only what the settings say is compared
    is_next = before is None or after.number == before.number + 1
    rows = _rows if is_next else _written_rows
    old, new = (rows(before) if before else {}), rows(after)
    return [
        {"key": key, "before": old.get(key), "after": new.get(key)}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _rows(generation: Generation) -> dict[str, Any]:
    """All that a generation configures, by key: the settings, and hooks as they are in force.

    What is a default is left out: it is not worth a line that it became one.
    """
    written = _written_rows(generation)
    rows = {key: value for key, value in written.items() if not _is_of_a_hook(key)}
    for binding in generation.document.bindings:
        at = join("plugins", binding.plugin, "hooks", binding.hook)
        said = msgspec.to_builtins(binding)
        rows[join("plugins", binding.plugin, "version")] = binding.version
        for option, value in said.items():
            if option not in _NO_OPTIONS and (option == "mode" or value != _DEFAULTS[option]):
                rows[join(at, option)] = value
    return rows


def _written_rows(generation: Generation) -> dict[str, Any]:
    """What the settings say, and who owns them."""
    applied = generation.applied
    try:
        settings = applied.settings() if applied is not None else None
    except SettingsError:  # another version of the bus wrote them
        settings = None
    if settings is None:
        return {}
    rows = {row.key: plain(row.value) for row in flatten(settings) if row.origin != DEFAULT_ORIGIN}
    return rows if applied is None or applied.owner is None else {**rows, "owner": applied.owner}


def _is_of_a_hook(key: str) -> bool:
    return key.startswith("plugins.") and ".hooks." in key
