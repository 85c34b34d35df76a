"""Changes of the settings as a whole: by the file that owns them, by an operator, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from hookbus.config.settings import Settings
from hookbus.errors import ControlError, SettingsError
from hookbus.registry.applied import Applied, digest_of
from hookbus.registry.binder import unbinds
from hookbus.registry.configuration import OURSELVES, Configuration, Made, Settle
from hookbus.registry.plugin_config import plugin_config, tell_config
from hookbus.registry.state import State
from hookbus.registry.type_changes import TypeEdit
from hookbus.transport import Transport


@dataclass(frozen=True, slots=True)
class Source:
    """What a registry was started with.

    Attributes:
        settings: a file's; None leaves it to what is applied.
        owner: the file, if nobody else may change the settings.
    """

    settings: Settings | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """The states before and after; *made* is None for a trial."""

    before: State
    after: State
    made: Made | None


class SettingsChanges:
    """Puts settings in force, one change at a time."""

    def __init__(
        self, configuration: Configuration, changing: asyncio.Lock, source: Source
    ) -> None:
        self._configuration = configuration
        self._changing = changing
        self._source = source
        self._last: Applied | None = None

    @property
    def file(self) -> str | None:
        """The file that this registry follows as the owner of the settings."""
        return self._source.owner

    async def begin(self, *, is_owned_elsewhere: bool = False) -> Made:
        """Put in force what this registry was started with.

        Without a file it is what was applied before; then also an owner that is gone
        (*is_owned_elsewhere* is false) owns nothing any more.

        Raises:
            SettingsError: A plugin that the settings name cannot be bound (R31).
        """
        async with self._changing:
            source = self._source
            if source.settings is not None:
                _demand_plugins(await self._configuration.load(), source.settings)
                own = self._configuration.applied_of(source.settings, source.owner)
                return await self._put(_unless_applied_instead(own), "start")
            return await self._put(
                _keep if is_owned_elsewhere else _release, "start without a file"
            )

    async def adopt(self, settings: Settings) -> SettingsChange:
        """Put the file's settings in force, which are others than before.

        Raises:
            SettingsError: A plugin that they name cannot be bound; what was before stays.
        """
        async with self._changing:
            before = await self._configuration.load()
            _demand_plugins(before, settings)
            source = replace(self._source, settings=settings)
            applied = self._configuration.applied_of(settings, source.owner)
            made = await self._put(lambda current: applied, f"{settings.origins.source} changed")
            self._source = source
            return SettingsChange(before, made.state, made)

    async def refresh(self, what: str = "worked out anew") -> Made:
        """Work the configuration out anew; a broker that came back empty gets it again."""

        def settle(current: Applied | None) -> Applied | None:
            # what is there and cannot be read a newer registry wrote: it is not lost
            return self._last if current is None and not self._configuration.problem else current

        async with self._changing:
            return await self._put(settle, what)

    async def apply(self, tree: dict[str, Any], by: str, *, is_trial: bool) -> SettingsChange:
        """Put other settings in force.

        Raises:
            ControlError: The settings cannot be used, a plugin cannot be bound under them, or
                they belong to a file.
        """
        # a tree that does not name the mode must not turn a development bus into production
        at = self._configuration.timestamp()

        def applied(state: State) -> Applied:
            complete = {"mode": state.settings.mode, **tree}
            return _applied(complete, f"applied by {by} at {at}", state)

        return await self._change(applied, by, "settings apply", is_trial=is_trial)

    async def add_type(
        self, name: str, schema: dict[str, Any], by: str, *, is_trial: bool, is_forced: bool
    ) -> SettingsChange:
        """Put another schema of one type in force, and leave all else as it is.

        Nothing is made, as in a trial, if events that fitted may be refused and it *is_forced* not.
        What others change at the same time stays: it is worked out anew on what they made.

        Raises:
            ControlError: The schema cannot be used, no settings are applied yet, or they belong to
                a file (a trial is answered all the same).
        """
        what = f"types add {name}"
        at = self._configuration.timestamp()
        edit = TypeEdit(name, schema, f"{what} by {by} at {at}", is_forced=is_forced)
        made = None
        async with self._changing:
            before = await self._configuration.load()
            if is_trial:
                edit.settle(before.applied)
            else:
                demand_unowned(before, what)
                made = await self._put(_unless_owned(edit.settle), what, by)
        after = replace(before, settings=edit.after.settings(), applied=edit.after)
        before = replace(before, settings=edit.before.settings(), applied=edit.before)
        return SettingsChange(before, after, None if edit.is_held else made)

    async def rollback(self, generation: int, by: str) -> SettingsChange:
        """Put the settings of an earlier generation in force again; overrides stay.

        Raises:
            ControlError: That generation is not kept, or as `apply`.
        """
        kept = {g.number: g.applied for g in await self._configuration.generations()}
        found = kept.get(generation)
        if found is None:
            numbers = ", ".join(map(str, kept)) or "none"
            raise ControlError(
                f"generation {generation} is not kept; there are: {numbers}",
                code="unknown_generation",
                pointer="/generation",
            )
        at = self._configuration.timestamp()
        source = f"rolled back to generation {generation} by {by} at {at}"
        what = f"settings rollback {generation}"
        tree = found.tree
        return await self._change(lambda state: _applied(tree, source, state), by, what)

    async def _change(
        self, applied: Callable[[State], Applied], by: str, what: str, *, is_trial: bool = False
    ) -> SettingsChange:
        async with self._changing:
            before = await self._configuration.load()
            demand_unowned(before, what)
            new = applied(before)
            try:
                settings = new.settings()
            except SettingsError as e:
                raise ControlError(str(e), code="invalid_settings", pointer="/settings") from e
            after = replace(before, settings=settings, applied=new)
            bound = self._configuration.bind(after)
            if problems := unbinds(self._configuration.bind(before), bound, settings):
                raise ControlError("; ".join(problems), code="unbindable", pointer="/settings")
            if is_trial:
                return SettingsChange(before, after, None)
            replaced: list[Applied | None] = []  # another registry may change them meanwhile
            settle = _unless_equal(new)

            def noted(current: Applied | None) -> Applied | None:
                replaced[:] = [current]
                return settle(current)

            made = await self._put(noted, what, by)
            if replaced[0] is not None:
                before = replace(before, settings=replaced[0].settings())
            return SettingsChange(before, after, made)

    async def _put(self, settle: Settle, what: str, by: str = OURSELVES) -> Made:
        made = await self._configuration.write(by, what, settle)
        self._last = made.state.applied
        return made


async def tell_changed_configs(transport: Transport, change: SettingsChange) -> None:
    """Tell the plugins for whom the settings say something else now."""
    if change.made is None:
        return
    before, after = change.before.settings, change.made.state.settings
    named = {*before.plugins, *after.plugins}
    changed = {p for p in named if plugin_config(after, p) != plugin_config(before, p)}
    if after.observers != before.observers:
        bindings = change.made.bound.document.bindings
        changed |= {binding.plugin for binding in bindings if binding.phase == "observe"}
    for plugin in sorted(changed):
        await tell_config(transport, plugin, after)


def _unless_applied_instead(own: Applied) -> Settle:
    """What an operator applied in place of these settings stays, unless their file owns all."""

    def settle(current: Applied | None) -> Applied:
        if current is None or current.owner != own.owner or current.instead_of != own.instead_of:
            return own
        return current

    return settle


def _demand_plugins(before: State, settings: Settings) -> None:
    """See that a file that is empty, or cut, takes no guard away.

    Raises:
        SettingsError: It does not even say that it names nobody.
    """
    named = sorted(plugin for plugin, said in before.settings.plugins.items() if said.hooks)
    if settings.mode == "production" and named and "plugins" not in settings.model_fields_set:
        raise SettingsError(
            f"{settings.origins.source}: names no plugin, and in force are {', '.join(named)}:"
            " is it whole? If nobody is to be asked any more, write: plugins = {}"
        )


def demand_unowned(state: State, what: str) -> None:
    """Refuse what only the owner of the settings may do.

    Raises:
        ControlError: Names the owner.
    """
    if state.owner is not None:
        raise ControlError(
            f"{what} is refused: {state.owner} owns the settings; change that file",
            code="owned",
        )


def _applied(tree: dict[str, Any], source: str, state: State) -> Applied:
    instead_of = state.applied.instead_of if state.applied else ""
    return Applied(tree=tree, source=source, instead_of=instead_of)


def _unless_owned(settle: Settle) -> Settle:
    def unless_owned(current: Applied | None) -> Applied | None:
        if current is not None and current.owner is not None:
            raise ControlError(f"{current.owner} has just become the owner", code="owned")
        return settle(current)

    return unless_owned


def _unless_equal(new: Applied) -> Settle:
    """Leave equal settings alone, whoever applied them: they change nothing."""
    digest = digest_of(new.settings())

    def settle(current: Applied | None) -> Applied:
        if current is None or digest_of(current.settings()) != digest:
            if current is not None and current.owner is not None:
                raise ControlError(f"{current.owner} has just become the owner", code="owned")
            return new
        return current

    return settle


def _keep(current: Applied | None) -> Applied | None:
    return current


def _release(current: Applied | None) -> Applied | None:
    if current is None or current.owner is None:
        return current
    return msgspec.structs.replace(current, owner=None)
