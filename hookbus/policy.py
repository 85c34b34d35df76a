"""What the operator says, and which bindings follow from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hookbus.catalog import TypeSettings
from hookbus.conditions import MAX_CONDITIONS, check_condition
from hookbus.config.settings import Settings
from hookbus.errors import Problem
from hookbus.manifest.announcement import Announcement
from hookbus.manifest.hook import HookOptions, parse_hook
from hookbus.snapshot import Binding, BreakerLimits, ConfigDocument, Limits

#: In production these never come from an announcement (R18).
_OPERATORS_ONLY: Final = ("on_failure", "mode", "writable", "rewrites", "priority")


class Removal(msgspec.Struct, frozen=True):
    """An operator took a plugin out; *at* is a time for people to read."""

    by: str
    at: str


class Overrides(msgspec.Struct, frozen=True):
    """What operators said at run time; it wins over file and announcements."""

    removed: dict[str, Removal] = {}


@dataclass(frozen=True, slots=True)
class Bound:
    """What binding came to.

    Attributes:
        document: for the dispatchers.
        problems: per plugin, why it is not bound.
        pending: plugins that wait for an operator, and why.
    """

    document: ConfigDocument
    problems: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)


def bind(announced: Mapping[str, Announcement], settings: Settings, overrides: Overrides) -> Bound:
    """Put announcements, settings and overrides together; a plugin is bound whole or not at all."""
    bindings: list[Binding] = []
    problems: dict[str, tuple[Problem, ...]] = {}
    pending: dict[str, str] = {}
    for plugin in sorted({*announced, *settings.plugins}):
        if plugin in overrides.removed:
            removal = overrides.removed[plugin]
            pending[plugin] = (
                f"removed by {removal.by} at {removal.at};"
                f" `hookbus plugins approve {plugin}` binds it again"
            )
            continue
        bound, wrong = _bind_plugin(plugin, announced.get(plugin), settings)
        if wrong:
            problems[plugin] = wrong
        elif not bound and plugin in announced:
            pending[plugin] = f"not named in the settings: add [plugins.{plugin}.hooks.…]"
        else:
            bindings.extend(bound)
    document = ConfigDocument(
        bindings=tuple(bindings), types=_types(settings), limits=_limits(settings)
    )
    return Bound(document, problems, pending)


def _bind_plugin(
    plugin: str, announcement: Announcement | None, settings: Settings
) -> tuple[list[Binding], tuple[Problem, ...]]:
    bindings: list[Binding] = []
    problems: list[Problem] = []
    for at, origin, raw in _hooks_of(plugin, announcement, settings):
        options = parse_hook(raw, at)
        if isinstance(options, tuple):
            problems.extend(options)
            continue
        problems.extend(_condition_problems(options, at))
        version = announcement.version if announcement else "0.0.0"
        bindings.append(_binding(plugin, version, origin, options))
    return bindings, tuple(problems)


def _hooks_of(
    plugin: str, announcement: Announcement | None, settings: Settings
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield place, origin and raw options of each hook: what the operator wrote wins."""
    named = settings.plugins[plugin].hooks if plugin in settings.plugins else {}
    offered = {hook.name: hook for hook in announcement.hooks} if announcement else {}
    is_production = settings.mode == "production"
    for index, (name, hook) in enumerate(offered.items()):
        if name in named:
            continue
        if not is_production:
            yield f"hooks[{index}]", "announcement", hook.explicit() | {"name": name}
    for name, overlay in named.items():
        raw = offered[name].explicit() if name in offered else {}
        if is_production:
            raw = {k: v for k, v in raw.items() if k not in _OPERATORS_ONLY}
        yield (
            f"plugins.{plugin}.hooks.{name}",
            "settings",
            raw | overlay.explicit() | {"name": name},
        )


def _condition_problems(options: HookOptions, at: str) -> Iterator[Problem]:
    if len(options.when) > MAX_CONDITIONS:
        yield Problem(f"{at}.when", f"expected at most {MAX_CONDITIONS}, got {len(options.when)}")
    for index, source in enumerate(options.when[:MAX_CONDITIONS]):
        wrong = check_condition(source)
        if wrong is not None:
            yield Problem(f"{at}.when[{index}]", wrong)


def _binding(plugin: str, version: str, origin: str, options: HookOptions) -> Binding:
    said = options.model_dump(exclude={"name"})
    return Binding(plugin=plugin, hook=options.name, version=version, origin=origin, **said)


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
        idempotency=settings.idempotency == "on",
        breaker=BreakerLimits(
            failures=settings.breaker.failures,
            open_ms=settings.breaker.open_ms,
            max_open_ms=settings.breaker.max_open_ms,
        ),
    )
