"""What the registry's answers to operators look like. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hookbus.config.flatten import Row, flatten
from hookbus.config.settings import DEFAULT_ORIGIN, Settings
from hookbus.errors import Problem
from hookbus.patches.values import equal
from hookbus.registry.configuration import Made
from hookbus.snapshot import Binding


def plugin_view(
    name: str,
    made: Made,
    replicas: list[dict[str, Any]],
    refused: tuple[Problem, ...],
    observers: Mapping[tuple[str, str], Any],
) -> dict[str, Any]:
    """Show one plugin; *observers* is how far each of all observing hooks is."""
    bound, state = made.bound, made.state
    bindings = [b for b in bound.document.bindings if b.plugin == name]
    announcement = state.announced.get(name)
    served = {hook.name for hook in announcement.hooks} if announcement else set()
    wrong = refused or bound.problems.get(name, ())
    problem = bound.pending.get(name) or "; ".join(map(str, wrong))
    return {
        "plugin": name,
        "version": announcement.version if announcement else None,
        "state": "bound" if bindings else "refused" if refused else "pending",
        "problem": problem or None,
        "candidate_of": announcement.candidate_of if announcement else None,
        "hooks": [
            {
                **_hook(b, bound.origins.get((name, b.hook), {})),
                "announced": b.hook in served,
                **({"observer": observers.get((name, b.hook))} if b.phase == "observe" else {}),
            }
            for b in bindings
        ],
        "replicas": replicas,
    }


def _hook(binding: Binding, origins: dict[str, str]) -> dict[str, Any]:
    """Show a binding; what *origins* does not name is the default."""
    hook: dict[str, Any] = msgspec.to_builtins(binding)
    # an override's end is in the origin, and whose candidate it is stands with the plugin
    for member in ("plugin", "mode_until", "mode_then", "candidate_of"):
        del hook[member]
    return {"name": hook.pop("hook"), **hook, "origins": origins}


def difference(before: Settings, after: Settings) -> list[dict[str, Any]]:
    """What other settings change, as ``{key, before, after}``; None is not said.

    Of a table that is new or gone only what it says is a change, not the defaults beside that.
    """
    old = {row.key: row for row in flatten(before)}
    new = {row.key: row for row in flatten(after)}
    return [
        {"key": key, "before": _value(old.get(key)), "after": _value(new.get(key))}
        for key in sorted({*old, *new})
        if _differ(old.get(key), new.get(key))
    ]


def _value(row: Row | None) -> Any:
    return None if row is None else plain(row.value)


def _differ(old: Row | None, new: Row | None) -> bool:
    if old is not None and new is not None:
        return not equal(plain(old.value), plain(new.value))
    return any(row is not None and row.origin != DEFAULT_ORIGIN for row in (old, new))


def plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str)
