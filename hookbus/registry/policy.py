"""What an operator says, and which bindings of one plugin follow from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from hookbus.conditions import MAX_CONDITIONS, MAX_TEXT, check_condition
from hookbus.config.manifests import OPERATORS_ONLY
from hookbus.config.settings import PluginSettings
from hookbus.errors import Problem
from hookbus.manifest.announcement import Announcement
from hookbus.manifest.hook import HookOptions, parse_hook
from hookbus.snapshot import Binding
from hookbus.subjects import has_wildcard


class Removal(msgspec.Struct, frozen=True):
    """An operator took a plugin out; *at* is a time for people to read, *until* as below."""

    by: str
    at: str
    until: float | None = None


class Approval(msgspec.Struct, frozen=True):
    """An operator let a plugin in that the settings of production do not name."""

    by: str
    at: str
    until: float | None = None


class ModeOverride(msgspec.Struct, frozen=True):
    """An operator set a mode; *until* is seconds since the epoch, None has no end."""

    mode: str
    by: str
    at: str
    until: float | None = None


class Overrides(msgspec.Struct, frozen=True):
    """What operators said at run time; it wins over file and announcements.

    Attributes:
        modes: by ``plugin`` or ``plugin/hook``; the hook's wins.
    """

    removed: dict[str, Removal] = {}
    modes: dict[str, ModeOverride] = {}
    approved: dict[str, Approval] = {}


@dataclass(frozen=True, slots=True)
class _Hook:
    """One hook before it is checked: what was said of it, by whom, and where to point at."""

    at: str
    name: str
    said: dict[str, Any]
    origins: dict[str, str]
    origin: str
    candidate_of: str | None = None
    mode_until: float | None = None
    mode_then: Any = "enforce"


@dataclass(frozen=True, slots=True)
class Said:
    """All that the bindings of one plugin follow from: equal ones give equal bindings.

    Attributes:
        announcement: None before its first one.
        named: what the settings say of it, None if they do not name it.
        approval: an operator's, which counts in production.
        modes: what operators set, by hook, the plugin's own under None.
        types: that the bus knows.
    """

    plugin: str
    announcement: Announcement | None
    named: PluginSettings | None
    approval: Approval | None
    modes: Mapping[str | None, ModeOverride]
    is_production: bool
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class BoundPlugin:
    """What one plugin came to.

    Attributes:
        is_unknown: neither settings nor announcement say a named hook's type or phase.
        origins: per hook, where each option that is not the default comes from.
    """

    bindings: tuple[Binding, ...]
    problems: tuple[Problem, ...]
    is_unknown: bool
    origins: Mapping[str, dict[str, str]]


def mode_key(plugin: str, hook: str | None) -> str:
    """``"guard-tools", None → "guard-tools"``; with a hook, ``"guard-tools/tool-invoked"``"""
    return plugin if hook is None else f"{plugin}/{hook}"


def in_force(overrides: Overrides, now: float) -> Overrides:
    """Leave out what is over; *now* is in seconds since the epoch."""
    return Overrides(
        removed={k: r for k, r in overrides.removed.items() if _lasts(r, now)},
        modes={k: m for k, m in overrides.modes.items() if _lasts(m, now)},
        approved={k: a for k, a in overrides.approved.items() if _lasts(a, now)},
    )


def next_end(overrides: Overrides, now: float) -> float | None:
    """When the next override ends, in seconds since the epoch; None: none of them does."""
    said: list[Removal | ModeOverride | Approval] = [
        *overrides.removed.values(),
        *overrides.modes.values(),
        *overrides.approved.values(),
    ]
    return min((o.until for o in said if o.until is not None and o.until > now), default=None)


def _lasts(override: Removal | ModeOverride | Approval, now: float) -> bool:
    return override.until is None or override.until > now


def bind_plugin(said: Said) -> BoundPlugin:
    """Bind one plugin, as far as it can be."""
    hooks = [_overridden(hook, said.modes) for hook in _hooks(said)]
    version = said.announcement.version if said.announcement else "0.0.0"
    made, wrong = _bindings(said.plugin, version, hooks, said.types)
    is_unknown = any("type" not in hook.said or "phase" not in hook.said for hook in hooks)
    return BoundPlugin(tuple(made), wrong, is_unknown, {hook.name: hook.origins for hook in hooks})


def _bindings(
    plugin: str, version: str, hooks: list[_Hook], known: frozenset[str]
) -> tuple[list[Binding], tuple[Problem, ...]]:
    bindings: list[Binding] = []
    problems: list[Problem] = []
    room = MAX_TEXT
    for hook in hooks:
        options = parse_hook(hook.said, hook.at)
        if isinstance(options, tuple):
            problems.extend(options)
            continue
        room -= sum(map(len, options.when))
        if room < 0:  # not compiled either: thousands of them would hold up every dispatcher
            message = f"expected at most {MAX_TEXT} characters of conditions in one plugin"
            return [], (Problem(f"{hook.at}.when", message),)
        problems.extend(_condition_problems(options, hook.at))
        problems.extend(_type_problems(options, hook.at, known))
        bindings.append(_binding(plugin, version, hook, options))
    return bindings, tuple(problems)


def _hooks(said: Said) -> Iterator[_Hook]:
    """Yield each hook with what was said of it: what the operator wrote wins (R18)."""
    plugin, announcement, is_production = said.plugin, said.announcement, said.is_production
    named = said.named.hooks if said.named else {}
    offered = {hook.name: hook for hook in announcement.hooks} if announcement else {}
    incumbent = announcement.candidate_of if announcement else None
    for index, (name, offer) in enumerate(offered.items()):
        if name in named or (is_production and said.approval is None):
            continue
        wants = {**_asked(offer, incumbent, is_production=is_production), "name": name}
        origin = "approval" if is_production else "announcement"
        origins = _asked_origins(wants, incumbent)
        yield _Hook(f"hooks[{index}]", name, wants, origins, origin, incumbent)
    for name, overlay in named.items():
        asked = (
            _asked(offered[name], incumbent, is_production=is_production) if name in offered else {}
        )
        written = overlay.explicit()
        wants = asked | written | {"name": name}
        origins = _asked_origins(asked, incumbent) | _origins(written, "settings")
        yield _Hook(f"plugins.{plugin}.hooks.{name}", name, wants, origins, "settings", incumbent)


def _asked(offer: HookOptions, incumbent: str | None, *, is_production: bool) -> dict[str, Any]:
    """What a plugin's own word is good for; a candidate's never for more than to be tried out."""
    asked = offer.explicit()
    if is_production:
        asked = {k: v for k, v in asked.items() if k not in OPERATORS_ONLY}
    if incumbent is not None and offer.phase != "observe":
        asked["mode"] = "shadow"
    return asked


def _asked_origins(asked: Mapping[str, Any], incumbent: str | None) -> dict[str, str]:
    origins = _origins(asked, "announcement")
    if incumbent is not None and "mode" in asked:
        origins["mode"] = f"candidate of {incumbent}"
    return origins


def _origins(said: Mapping[str, Any], origin: str) -> dict[str, str]:
    return {option: origin for option in said if option != "name"}


def _overridden(hook: _Hook, modes: Mapping[str | None, ModeOverride]) -> _Hook:
    """Put an operator's mode on top; what was said of the hook itself wins."""
    override = modes.get(hook.name) or modes.get(None)
    if override is None:
        return hook
    return replace(
        hook,
        said={**hook.said, "mode": override.mode},
        origins={**hook.origins, "mode": f"override by {override.by} at {override.at}"},
        mode_until=override.until,
        mode_then=hook.said.get("mode", "enforce"),
    )


def _condition_problems(options: HookOptions, at: str) -> Iterator[Problem]:
    if len(options.when) > MAX_CONDITIONS:
        yield Problem(f"{at}.when", f"expected at most {MAX_CONDITIONS}, got {len(options.when)}")
    for index, source in enumerate(options.when[:MAX_CONDITIONS]):
        wrong = _what_is_wrong(source)
        if wrong is not None:
            yield Problem(f"{at}.when[{index}]", wrong)


# every announcement binds all plugins anew, and compiling was half of the time that took
@lru_cache(maxsize=16_384)
def _what_is_wrong(source: str) -> str | None:
    return check_condition(source)


def _type_problems(options: HookOptions, at: str, known: frozenset[str]) -> Iterator[Problem]:
    """A hook on a type that this bus refuses would never be asked: mostly a misspelling."""
    if options.type in known or has_wildcard(options.type):
        return
    yield Problem(
        f"{at}.type",
        f"{options.type!r} is not a type of this bus; known are {', '.join(sorted(known))};"
        f" `hookbus types add {options.type}.json`, or a table [types.{options.type}] in the"
        " settings, makes it known",
    )


def _binding(plugin: str, version: str, hook: _Hook, options: HookOptions) -> Binding:
    return Binding(
        plugin=plugin,
        hook=options.name,
        version=version,
        origin=hook.origin,
        mode_until=hook.mode_until,
        mode_then=hook.mode_then,
        candidate_of=hook.candidate_of,
        **options.model_dump(exclude={"name"}),
    )
