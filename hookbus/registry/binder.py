"""All plugins bound: announcements, settings and overrides put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hookbus.catalog import BUILT_IN, TypeSettings
from hookbus.config.settings import Settings
from hookbus.errors import Problem, SettingsError
from hookbus.manifest.announcement import Announcement
from hookbus.manifest.problems import join
from hookbus.registry.policy import (
    BoundPlugin,
    ModeOverride,
    Overrides,
    Removal,
    Said,
    bind_plugin,
    in_force,
)
from hookbus.snapshot import Binding, BreakerLimits, ConfigDocument, Limits


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


def bind(
    announced: Mapping[str, Announcement], settings: Settings, overrides: Overrides, now: float
) -> Bound:
    """Put announcements, settings and overrides together, once."""
    return Binder().bind(announced, settings, overrides, now)


class Binder:
    """Puts announcements, settings and overrides together, again and again.

    What a plugin came to is kept until something changes that it follows from. Each announcement
    binds all plugins, twice: with 10,000 hooks that held the registry up for half a second.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Said, BoundPlugin]] = {}

    def bind(
        self,
        announced: Mapping[str, Announcement],
        settings: Settings,
        overrides: Overrides,
        now: float,
    ) -> Bound:
        """Bind all plugins, each of them whole or not at all.

        *now* is in seconds since the epoch: an override whose time is over says nothing.
        """
        bindings: list[Binding] = []
        bound = Bound(ConfigDocument())
        overrides = in_force(overrides, now)
        plugins = {*announced, *settings.plugins}
        self._kept = {name: kept for name, kept in self._kept.items() if name in plugins}
        for said in _said(sorted(plugins), announced, settings, overrides):
            plugin = said.plugin
            if plugin in overrides.removed:
                bound.pending[plugin] = _removed(plugin, overrides.removed[plugin])
                continue
            found = self._bind_plugin(said)
            if found.problems:
                bound.problems[plugin] = found.problems
                if found.is_unknown:
                    bound.unknown.add(plugin)
            elif not found.bindings and said.is_production and said.named is not None:
                bound.problems[plugin] = (_names_no_hook(plugin),)
            elif not found.bindings and said.announcement is not None:
                bound.pending[plugin] = _not_named(plugin)
            else:
                bindings.extend(found.bindings)
                bound.origins.update({(plugin, hook): of for hook, of in found.origins.items()})
        document = ConfigDocument(
            bindings=tuple(bindings), types=_types(settings), limits=_limits(settings)
        )
        return replace(bound, document=document)

    def _bind_plugin(self, said: Said) -> BoundPlugin:
        before, found = self._kept.get(said.plugin, (None, None))
        if found is None or before != said:
            found = bind_plugin(said)
        self._kept[said.plugin] = said, found  # the same announcement next time, which is fast
        return found


def _said(
    plugins: Iterable[str],
    announced: Mapping[str, Announcement],
    settings: Settings,
    overrides: Overrides,
) -> Iterator[Said]:
    """Take apart by plugin what was said of all of them."""
    modes: dict[str, dict[str | None, ModeOverride]] = {}
    for key, override in overrides.modes.items():
        plugin, _, hook = key.partition("/")
        modes.setdefault(plugin, {})[hook or None] = override
    is_production = settings.mode == "production"
    types = frozenset((*BUILT_IN, *settings.types))
    for plugin in plugins:
        yield Said(
            plugin,
            announced.get(plugin),
            settings.plugins.get(plugin),
            overrides.approved.get(plugin),
            modes.get(plugin, {}),
            is_production,
            types,
        )


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
