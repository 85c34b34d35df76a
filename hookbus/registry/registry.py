"""The registry: announcements and operators' changes in, one configuration document out.

Its only state is the broker's KV, so replicas need nothing of each other: every change reads all
of it, works out the document and writes that by compare-and-set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from hookbus import presence, subjects
from hookbus.errors import ControlError, HookbusError, InvalidManifest, KeyConflict, Problem
from hookbus.keyvalue import KeyValue
from hookbus.manifest.announcement import Announcement, from_document, parse_announcement
from hookbus.manifest.answer import MAX_PROBLEMS, announce_answer, refusal_answer
from hookbus.manifest.semver import is_newer
from hookbus.registry.configuration import ATTEMPTS, Configuration, Made
from hookbus.registry.plugin_config import plugin_config
from hookbus.registry.policy import (
    Approval,
    ModeOverride,
    Overrides,
    Removal,
    in_force,
    mode_key,
)
from hookbus.registry.replicas import (
    Kept,
    Said,
    accept,
    let_wait,
    put_first,
    return_to,
    with_same,
    without,
)
from hookbus.registry.settings_changes import SettingsChanges, Source, demand_unowned
from hookbus.registry.state import State, StateStore
from hookbus.registry.upgrade import awaits_approval, has_other_hooks
from hookbus.snapshot import encode_document
from hookbus.transport import Transport

PRESENCE_WINDOW: Final = 0.15  # seconds to wait for who is there
MAX_REFUSED: Final = 100  # plugins that are remembered; anybody may announce any name

NOTHING_YET: Final = "no settings are applied yet: `hookbus settings apply FILE`"

T = TypeVar("T")


class Registry:
    """Keeps the configuration; announcements come and go as message bodies."""

    def __init__(
        self,
        transport: Transport,
        config: KeyValue,
        state: KeyValue,
        source: Source,
        now: Callable[[], float] = time.time,
    ) -> None:
        """*source* is what it was started with; *now* is the wall clock, for what has an end."""
        self._transport = transport
        self._store = StateStore(state)
        self._changing = asyncio.Lock()
        self.configuration = Configuration(config, self._store, now)
        self.settings = SettingsChanges(self.configuration, self._changing, source)
        self.configuration.on_expiry = lambda: self.settings.refresh("an override ended")
        #: Why the last announcement of a plugin was refused, as far as it came to this process,
        #: and the announcement if it could be read.
        self._refused: dict[str, tuple[Announcement | None, tuple[Problem, ...]]] = {}

    def refused(self, state: State) -> dict[str, tuple[Problem, ...]]:
        """Say whose last announcement was refused and why, unless it is in force by now."""
        return {
            plugin: problems
            for plugin, (said, problems) in self._refused.items()
            if said is None or not _is_in_force(said, state)
        }

    def stop(self) -> None:
        """Let nothing end by itself any more."""
        self.configuration.stop()

    async def announce(self, plugin: str, body: bytes) -> bytes:
        """Answer an announcement that came on ``hookbus.announce.<plugin>``."""
        try:
            announcement = parse_announcement(body, plugin)
        except InvalidManifest as e:
            return self._refuse(plugin, None, *e.problems)
        take = self._goodbye if announcement.goodbye else self._take
        return await self._changed(lambda: take(announcement))

    async def remove(self, plugin: str, by: str, seconds: int | None = None) -> Made:
        """Take a plugin out until it is approved again. Works while every plugin is broken (R24).

        With *seconds* it ends by itself.

        Raises:
            ControlError: There is no such plugin.
        """

        async def change() -> Made:
            state = await self._known(plugin)
            removal = Removal(by, self.configuration.timestamp(), self._until(seconds))
            overrides = msgspec.structs.replace(
                state.overrides,
                removed={**state.overrides.removed, plugin: removal},
                # what lasts longer than the removal would let it in again
                approved={k: v for k, v in state.overrides.approved.items() if k != plugin},
            )
            return await self._override(plugin, state, overrides, by, f"plugins remove {plugin}")

        return await self._changed(change)

    async def approve(self, plugin: str, by: str, seconds: int | None = None) -> Made:
        """Undo :meth:`remove`; else put an upgrade in force that waits, or let a plugin in.

        With *seconds* a plugin that the settings do not name is let in only for so long.

        Raises:
            ControlError: There is no such plugin, it cannot be bound, or the settings belong to
                a file: then only a removal can be undone.
        """

        async def change() -> Made:
            state = await self._known(plugin)
            overrides = state.overrides
            removed = {k: v for k, v in overrides.removed.items() if k != plugin}
            approved = overrides.approved
            if plugin not in overrides.removed:
                demand_unowned(state, f"plugins approve {plugin}")
            if seconds is not None and not self._needs_approval(plugin, state):
                raise ControlError(
                    f"{plugin!r} is not let in for a time: production settings must not name it for"
                    f" that; leave the time out, or use `hookbus plugins mode {plugin} … --for`",
                    code="invalid_request",
                    pointer="/for_s",
                )
            if state.owner is None:
                if self._needs_approval(plugin, state):
                    approval = Approval(by, self.configuration.timestamp(), self._until(seconds))
                    approved = {**approved, plugin: approval}
                if plugin in state.kept:
                    await self._upgrade(plugin, state)
                    state = await self.configuration.load()
            overrides = Overrides(removed, overrides.modes, approved)
            return await self._override(plugin, state, overrides, by, f"plugins approve {plugin}")

        return await self._changed(change)

    @staticmethod
    def _needs_approval(plugin: str, state: State) -> bool:
        return state.settings.mode == "production" and plugin not in state.settings.plugins

    async def _upgrade(self, plugin: str, state: State) -> None:
        kept = state.kept[plugin]
        for said in kept.others:
            announcement = from_document(said.announcement, plugin)
            if self._awaited(announcement, state):
                if wrong := self._problems(announcement, state):
                    raise _unbindable(wrong)
                self._refused.pop(plugin, None)
                await self._store.keep(plugin, put_first(kept, said), state)
                return

    async def set_mode(
        self, plugin: str, hook: str | None, mode: str | None, seconds: int | None, by: str
    ) -> Made:
        """Override the mode of a plugin or one hook of it; None takes the override back.

        With *seconds* it ends by itself.

        Raises:
            ControlError: There is no such plugin, it has no such hook, or not with that mode.
        """

        async def change() -> Made:
            state = await self._known(plugin, hook)
            key = mode_key(plugin, hook)
            modes = {k: v for k, v in state.overrides.modes.items() if k != key}
            if mode is not None:
                at = self.configuration.timestamp()
                modes[key] = ModeOverride(mode, by, at, self._until(seconds))
            elif hook is None:  # a reset of the plugin is one of its hooks too
                modes = {k: v for k, v in modes.items() if k.partition("/")[0] != plugin}
            overrides = msgspec.structs.replace(state.overrides, modes=modes)
            what = f"plugins mode {key} {mode or '--reset'}"
            return await self._override(plugin, state, overrides, by, what)

        return await self._changed(change)

    async def _take(self, announcement: Announcement) -> bytes:
        plugin = announcement.plugin
        state = await self.configuration.load()
        known = state.kept.get(plugin)
        if wrong := self._problems(announcement, state):
            return self._refuse(plugin, announcement, *wrong)  # what was bound stays as it was
        if known is not None and (waits := self._awaited(announcement, state)):
            self._refuse(plugin, announcement, waits)
            await self._store.keep(plugin, let_wait(known, announcement), state)
            made = await self._write(announcement)
            config = plugin_config(state.settings, plugin)
            observers = state.settings.observers.redelivery
            return announce_answer("pending", made.generation, config, (waits,), observers)
        refusal = await self._refuse_change(announcement, state)
        if known is not None and refusal is not None:
            await self._store.keep(plugin, let_wait(known, announcement), state)
            return self._refuse(plugin, announcement, refusal)
        self._refused.pop(plugin, None)
        await self._store.keep(plugin, accept(known, announcement), state)
        made = await self._write(announcement)
        await self._transport.publish(subjects.announced(plugin), subjects.ANNOUNCED)
        if plugin in made.bound.pending:
            why = made.bound.pending[plugin] if made.state.applied else NOTHING_YET
            problem = Problem("", why)
            return announce_answer("pending", made.generation, {}, (problem,))
        settings = made.state.settings
        config, observers = plugin_config(settings, plugin), settings.observers.redelivery
        return announce_answer("bound", made.generation, config, (), observers)

    def _awaited(self, announcement: Announcement, state: State) -> Problem | None:
        known = state.announced.get(announcement.plugin)
        if known is None:
            return None
        return awaits_approval(announcement, known, state.settings, state.overrides)

    def _refuse(self, plugin: str, said: Announcement | None, *problems: Problem) -> bytes:
        if subjects.is_name(plugin):
            self._refused.pop(plugin, None)
            self._refused[plugin] = said, problems[:MAX_PROBLEMS]
        if len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]  # the oldest
        return refusal_answer(problems)

    def _problems(self, announcement: Announcement, state: State) -> tuple[Problem, ...]:
        """Say why an announcement cannot be put in force."""
        plugin = announcement.plugin
        announced = {**state.announced, plugin: announcement}
        trial = self.configuration.bind(replace(state, announced=announced))
        if plugin in trial.problems:
            return trial.problems[plugin]
        try:
            encode_document(trial.document)
        except HookbusError as e:
            return (Problem("hooks", str(e)),)
        return ()

    async def _refuse_change(self, announcement: Announcement, state: State) -> Problem | None:
        """Other hooks under the same or a lower version are refused while a replica answers."""
        known = state.announced.get(announcement.plugin)
        if known is None or not has_other_hooks(announcement, known):
            return None
        if is_newer(announcement.version, known.version):
            return None
        others = await self._present(announcement.plugin) - {announcement.instance}
        others -= with_same(state.kept[announcement.plugin], announcement)
        if not others:
            return None
        return Problem(
            "hooks",
            f"instance {min(others)} answers with version {known.version} and other hooks;"
            f" raise the version above {known.version}, got {announcement.version}",
        )

    async def _goodbye(self, announcement: Announcement) -> bytes:
        """R31: in development a clean goodbye of the last replica removes the binding.

        The last one of an upgrade may leave replicas of the old version behind: what they
        announced is in force again, if it could be announced now.
        """
        plugin = announcement.plugin
        state = await self.configuration.load()
        kept = state.kept.get(plugin)
        self._refused.pop(plugin, None)
        if kept is None:
            return announce_answer("gone", 0, {}, ())
        if left := await self._left(announcement, kept):
            after = return_to(kept, left, lambda said: self._can_return(plugin, said, state))
            await self._store.keep(plugin, after, state)
        elif state.settings.mode == "development":
            await self._store.forget(plugin, state)
        else:
            await self._store.keep(plugin, Kept(kept.announcement), state)
        made = await self._write(announcement)
        return announce_answer("gone", made.generation, {}, ())

    async def _left(self, announcement: Announcement, kept: Kept) -> tuple[Said, ...]:
        """What the replicas say that stay; of those that never said goodbye, only who lives.

        Silence proves death only for a plugin that answers the Service API at all, as the one that
        is leaving still does. Where it does not, a replica that announced itself counts as there.
        """
        left = without(kept, announcement.instance)
        if not left:
            return ()
        present = await self._present(announcement.plugin)
        if announcement.instance not in present:
            return left
        return tuple(said for said in left if present.intersection(said.instances))

    def _can_return(self, plugin: str, said: Said, state: State) -> bool:
        try:
            return not self._problems(from_document(said.announcement, plugin), state)
        except InvalidManifest:  # written by another version of the bus
            return False

    async def _present(self, plugin: str) -> set[str]:
        answers = await presence.ask(self._transport, "PING", plugin, window=PRESENCE_WINDOW)
        return {answer["id"] for answer in answers}

    async def _known(self, plugin: str, hook: str | None = None) -> State:
        state = await self.configuration.load()
        if not state.knows(plugin) and plugin not in state.overrides.removed:
            known = ", ".join(sorted({*state.announced, *state.settings.plugins})) or "none"
            raise ControlError(
                f"plugin {plugin!r} is neither announced nor in the settings; known are: {known}",
                code="unknown_plugin",
                pointer="/plugin",
            )
        hooks = state.hooks_of(plugin)
        if hook is not None and hook not in hooks:
            raise ControlError(
                f"plugin {plugin!r} has no hook {hook!r}; it has: {', '.join(sorted(hooks))}",
                code="unknown_hook",
                pointer="/hook",
            )
        return state

    async def _override(
        self, plugin: str, state: State, overrides: Overrides, by: str, what: str
    ) -> Made:
        trial = self.configuration.bind(replace(state, overrides=overrides))
        if wrong := trial.problems.get(plugin):  # it would be unbound, and nobody be asked
            raise _unbindable(wrong)
        await self._store.override(in_force(overrides, self.configuration.now()), state)
        return await self.configuration.write(by, what)

    async def _write(self, announcement: Announcement) -> Made:
        said = "goodbye" if announcement.goodbye else "announced"
        what = f"{said} {announcement.version}".strip()
        return await self.configuration.write(announcement.plugin, what)

    async def _changed(self, change: Callable[[], Awaitable[T]]) -> T:
        """Make one change at a time; again from the start if another registry was faster."""
        async with self._changing:
            for _ in range(ATTEMPTS):
                try:
                    return await change()
                except KeyConflict:
                    continue
        raise HookbusError(f"the change could not be made: {ATTEMPTS} conflicts in a row")

    def _until(self, seconds: int | None) -> float | None:
        return None if seconds is None else self.configuration.now() + seconds


def _is_in_force(said: Announcement, state: State) -> bool:
    known = state.announced.get(said.plugin)
    return known is not None and known.version == said.version and not has_other_hooks(said, known)


def _unbindable(problems: tuple[Problem, ...]) -> ControlError:
    return ControlError("; ".join(map(str, problems)), code="unbindable", pointer="/plugin")
