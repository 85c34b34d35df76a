"""What the operator says, and which bindings follow from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec

from hookbus.catalog import BUILT_IN, TypeSettings
from hookbus.conditions import MAX_CONDITIONS, MAX_TEXT, check_condition
from hookbus.config.manifests import OPERATORS_ONLY
from hookbus.config.settings import Settings
from hookbus.errors import Problem, SettingsError
from hookbus.manifest.announcement import Announcement
from hookbus.manifest.hook import HookOptions, parse_hook
from hookbus.manifest.problems import join
from hookbus.snapshot import Binding, BreakerLimits, ConfigDocument, Limits
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
class Bound:
    """What binding came to.

    Attributes:
        document: for the dispatchers.
        problems: per plugin, why it is not bound.
        unknown: plugins of which neither settings nor announcement say a named hook's type or
            phase; part of ``problems``.
        pending: plugins that wait for an operator, and why.
        origins: per plugin and hook, where each option that is not the default comes from.
    """

    document: ConfigDocument
    problems: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    pending: dict[str, str] = field(default_factory=dict)
    origins: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    @property
    def plugins(self) -> set[str]:
        """Those that are bound."""
        return {binding.plugin for binding in self.document.bindings}


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


def bind(
    announced: Mapping[str, Announcement], settings: Settings, overrides: Overrides, now: float
) -> Bound:
    """Put announcements, settings and overrides together; a plugin is bound whole or not at all.

    *now* is in seconds since the epoch: an override whose time is over says nothing.
    """
    bindings: list[Binding] = []
    bound = Bound(ConfigDocument())
    overrides = in_force(overrides, now)
    known = frozenset((*BUILT_IN, *settings.types))
    for plugin in sorted({*announced, *settings.plugins}):
        announcement = announced.get(plugin)
        if plugin in overrides.removed:
            bound.pending[plugin] = _removed(plugin, overrides.removed[plugin])
            continue
        said = _hooks(plugin, announcement, settings, overrides.approved.get(plugin))
        hooks = [_overridden(plugin, hook, overrides) for hook in said]
        version = announcement.version if announcement else "0.0.0"
        made, wrong = _bind_plugin(plugin, version, hooks, known)
        if wrong:
            bound.problems[plugin] = wrong
            if any("type" not in hook.said or "phase" not in hook.said for hook in hooks):
                bound.unknown.add(plugin)
        elif not made and settings.mode == "production" and plugin in settings.plugins:
            bound.problems[plugin] = (_names_no_hook(plugin),)
        elif not made and announcement is not None:
            bound.pending[plugin] = _not_named(plugin)
        else:
            bindings.extend(made)
            bound.origins.update({(plugin, hook.name): hook.origins for hook in hooks})
    document = ConfigDocument(
        bindings=tuple(bindings), types=_types(settings), limits=_limits(settings)
    )
    return replace(bound, document=document)


def demand_named(bound: Bound, settings: Settings) -> None:
    """Make sure that a mistake unbinds nobody whom the settings name (R31).

    A development bus waits for an announcement to say what a hook's type and phase are.

    Raises:
        SettingsError: Names the settings' source, the place in them and what is wrong there.
    """
    is_production = settings.mode == "production"
    wrong = [
        problem
        for plugin, problems in bound.problems.items()
        if plugin in settings.plugins
        if is_production or plugin not in bound.unknown
        for problem in problems
    ]
    if wrong:
        raise SettingsError(settings.origins.report(wrong))


def unbinds(old: Bound, new: Bound, settings: Settings) -> list[str]:
    """Say whom *new* would unbind by mistake; who is not bound anyway vetoes nothing."""
    concerned = {*old.plugins, *settings.plugins}
    return [
        f"{plugin}: {problem}"
        for plugin, problems in new.problems.items()
        if plugin in concerned
        for problem in problems
    ]


def _names_no_hook(plugin: str) -> Problem:
    """A guard that is named and has nothing to be asked about must not look like one (R31)."""
    return Problem(
        join("plugins", plugin),
        "names no hook, so it would never be asked; say its `manifest`,"
        f" or type and phase in [plugins.{plugin}.hooks.NAME]",
    )


def _not_named(plugin: str) -> str:
    return (
        f"not named in the settings: add [plugins.{plugin}.hooks.…],"
        f" or let it in as it is by `hookbus plugins approve {plugin}`"
    )


def _removed(plugin: str, removal: Removal) -> str:
    return (
        f"removed by {removal.by} at {removal.at};"
        f" `hookbus plugins approve {plugin}` binds it again"
    )


def _bind_plugin(
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


def _hooks(
    plugin: str, announcement: Announcement | None, settings: Settings, approval: Approval | None
) -> Iterator[_Hook]:
    """Yield each hook with what was said of it: what the operator wrote wins (R18)."""
    named = settings.plugins[plugin].hooks if plugin in settings.plugins else {}
    offered = {hook.name: hook for hook in announcement.hooks} if announcement else {}
    incumbent = announcement.candidate_of if announcement else None
    is_production = settings.mode == "production"
    for index, (name, offer) in enumerate(offered.items()):
        if name in named or (is_production and approval is None):
            continue
        said = {**_asked(offer, incumbent, settings), "name": name}
        origin = "approval" if is_production else "announcement"
        origins = _asked_origins(said, incumbent)
        yield _Hook(f"hooks[{index}]", name, said, origins, origin, incumbent)
    for name, overlay in named.items():
        asked = _asked(offered[name], incumbent, settings) if name in offered else {}
        written = overlay.explicit()
        said = asked | written | {"name": name}
        origins = _asked_origins(asked, incumbent) | _origins(written, "settings")
        yield _Hook(f"plugins.{plugin}.hooks.{name}", name, said, origins, "settings", incumbent)


def _asked(offer: HookOptions, incumbent: str | None, settings: Settings) -> dict[str, Any]:
    """What a plugin's own word is good for; a candidate's never for more than to be tried out."""
    asked = offer.explicit()
    if settings.mode == "production":
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


def _overridden(plugin: str, hook: _Hook, overrides: Overrides) -> _Hook:
    """Put an operator's mode on top."""
    for key in (mode_key(plugin, hook.name), mode_key(plugin, None)):
        override = overrides.modes.get(key)
        if override is not None:
            origin = f"override by {override.by} at {override.at}"
            return replace(
                hook,
                said={**hook.said, "mode": override.mode},
                origins={**hook.origins, "mode": origin},
                mode_until=override.until,
                mode_then=hook.said.get("mode", "enforce"),
            )
    return hook


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


def _types(settings: Settings) -> dict[str, TypeSettings]:
    return {
        name: TypeSettings(
            schema=dict(said.json_schema) if said.json_schema is not None else None,
            timeout_ms=said.timeout_ms,
            max_timeout_ms=said.max_timeout_ms,
            conflict=said.conflict,
            on_not_converged=said.on_not_converged,
            max_rounds=said.max_rounds,
            record_payload=settings.record_payload(name),
            secret=said.secret,
        )
        for name, said in settings.types.items()
    }


def _limits(settings: Settings) -> Limits:
    return Limits(
        timeout_ms=settings.timeout_ms,
        max_timeout_ms=settings.max_timeout_ms,
        ready_timeout_ms=settings.ready_timeout_ms,
        max_event_bytes=settings.max_event_bytes,
        max_depth=settings.max_depth,
        max_in_flight=settings.max_in_flight,
        max_plugins=settings.max_plugins,
        patch_max_ops=settings.patch.max_ops,
        patch_max_growth=settings.patch.max_growth,
        observe=settings.observe == "always",
        audit=settings.audit == "required",
        idempotency=settings.idempotency == "on",
        record_payload=settings.default_record_payload,
        trace_sampling=settings.trace_sampling,
        breaker=BreakerLimits(
            failures=settings.breaker.failures,
            open_ms=settings.breaker.open_ms,
            max_open_ms=settings.breaker.max_open_ms,
        ),
    )
