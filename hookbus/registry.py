"""The registry: announcements and operators' changes in, one configuration document out.

Its only state is the broker's KV, so replicas need nothing of each other: every change reads all
of it, works out the document and writes that by compare-and-set.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from hookbus import presence, subjects
from hookbus.config.settings import Settings, parse_settings
from hookbus.errors import (
    ControlError,
    HookbusError,
    InvalidManifest,
    KeyConflict,
    Problem,
    SettingsError,
)
from hookbus.keyvalue import KeyValue
from hookbus.manifest.announcement import (
    Announcement,
    from_document,
    parse_announcement,
)
from hookbus.manifest.answer import MAX_PROBLEMS, announce_answer, refusal_answer
from hookbus.manifest.semver import is_newer
from hookbus.plugin_config import plugin_config
from hookbus.policy import (
    Bound,
    ModeOverride,
    Overrides,
    Removal,
    bind,
    demand_named,
    in_force,
    mode_key,
    unbinds,
)
from hookbus.registry_state import State, StateStore
from hookbus.replicas import (
    Kept,
    Said,
    accept,
    let_wait,
    put_first,
    return_to,
    with_same,
    without,
)
from hookbus.snapshot import Binding, encode_document, holds
from hookbus.transport import Transport
from hookbus.upgrade import awaits_approval, has_other_hooks

PRESENCE_WINDOW: Final = 0.15  # seconds to wait for who is there
MAX_REFUSED: Final = 100  # plugins that are remembered; anybody may announce any name
ATTEMPTS: Final = 20  # at a compare-and-set, against other registries

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """The configuration after a change; its generation is the KV's revision."""

    generation: int
    bound: Bound
    state: State


BindingsCallback = Callable[[tuple[Binding, ...]], Awaitable[None]]


class Registry:
    """Keeps the configuration; announcements come and go as message bodies."""

    def __init__(
        self,
        transport: Transport,
        config: KeyValue,
        state: KeyValue,
        settings: Settings,
        now: Callable[[], float] = time.time,
    ) -> None:
        """*settings* are the file's; *now* is the wall clock, for overrides that have an end."""
        self._transport = transport
        self._config = config
        self._store = StateStore(state, settings)
        self._now = now
        self._changing = asyncio.Lock()
        self._expiry: asyncio.TimerHandle | None = None
        self._expiring: asyncio.Task[Made] | None = None
        #: Why the last announcement of a plugin was refused, as far as it came to this process.
        self.refused: dict[str, tuple[Problem, ...]] = {}
        #: Called with the bindings after each change, to make the observers' consumers.
        self.on_bindings: BindingsCallback = _nothing

    async def start(self) -> Made:
        """Work the configuration out anew; what was announced before a restart is still bound.

        Raises:
            SettingsError: A plugin that the settings name cannot be bound (R31).
        """
        async with self._changing:
            return await self._rebuild()

    def stop(self) -> None:
        """Let nothing end by itself any more."""
        if self._expiry is not None:
            self._expiry.cancel()

    async def announce(self, plugin: str, body: bytes) -> bytes:
        """Answer an announcement that came on ``hookbus.announce.<plugin>``."""
        try:
            announcement = parse_announcement(body, plugin)
        except InvalidManifest as e:
            return self._refuse(plugin, *e.problems)
        async with self._changing:
            if announcement.goodbye:
                return await self._goodbye(announcement)
            return await self._take(announcement)

    async def remove(self, plugin: str, by: str) -> Made:
        """Take a plugin out until it is approved again. Works while every plugin is broken (R24).

        Raises:
            ControlError: There is no such plugin.
        """
        async with self._changing:
            state = await self._known(plugin)
            removed = {**state.overrides.removed, plugin: Removal(by, self._timestamp())}
            overrides = msgspec.structs.replace(state.overrides, removed=removed)
            return await self._override(plugin, state, overrides)

    async def approve(self, plugin: str) -> Made:
        """Undo :meth:`remove`, and put an upgrade in force that waits.

        Raises:
            ControlError: There is no such plugin, or it cannot be bound.
        """
        async with self._changing:
            state = await self._known(plugin)
            if plugin in state.kept:
                await self._upgrade(plugin, state)
                state = await self._store.load()
            removed = {k: v for k, v in state.overrides.removed.items() if k != plugin}
            overrides = msgspec.structs.replace(state.overrides, removed=removed)
            return await self._override(plugin, state, overrides)

    async def _upgrade(self, plugin: str, state: State) -> None:
        kept = state.kept[plugin]
        for said in kept.others:
            announcement = from_document(said.announcement, plugin)
            if self._awaited(announcement, state):
                if wrong := self._problems(announcement, state):
                    raise _unbindable(wrong)
                self.refused.pop(plugin, None)
                await self._store.keep(plugin, put_first(kept, said))
                return

    async def set_mode(
        self, plugin: str, hook: str | None, mode: str | None, seconds: int | None, by: str
    ) -> Made:
        """Override the mode of a plugin or one hook of it; None takes the override back.

        With *seconds* it ends by itself.

        Raises:
            ControlError: There is no such plugin, it has no such hook, or not with that mode.
        """
        async with self._changing:
            state = await self._known(plugin, hook)
            modes = {k: v for k, v in state.overrides.modes.items() if k != mode_key(plugin, hook)}
            if mode is not None:
                until = None if seconds is None else self._now() + seconds
                modes[mode_key(plugin, hook)] = ModeOverride(mode, by, self._timestamp(), until)
            elif hook is None:  # a reset of the plugin is one of its hooks too
                modes = {k: v for k, v in modes.items() if k.partition("/")[0] != plugin}
            overrides = msgspec.structs.replace(state.overrides, modes=modes)
            return await self._override(plugin, state, overrides)

    async def apply(
        self, tree: dict[str, Any], by: str, *, is_trial: bool
    ) -> tuple[State, State, Made | None]:
        """Put other settings in force; return the states before and after, and what was made.

        Raises:
            ControlError: The settings cannot be used, or a plugin cannot be bound under them.
        """
        async with self._changing:
            before = await self._store.load()
            # a tree that does not name the mode must not turn a development bus into production
            tree = {"mode": before.settings.mode, **tree}
            try:
                settings = parse_settings(tree, f"applied by {by} at {self._timestamp()}")
            except SettingsError as e:
                raise ControlError(str(e), code="invalid_settings", pointer="/settings") from e
            now = self._now()
            old = bind(before.announced, before.settings, before.overrides, now)
            new = bind(before.announced, settings, before.overrides, now)
            if problems := unbinds(old, new, settings):
                raise ControlError("; ".join(problems), code="unbindable", pointer="/settings")
            after = State(before.kept, before.announced, before.overrides, settings)
            if is_trial:
                return before, after, None
            await self._store.apply(tree, by, self._timestamp())
            return before, after, await self._rebuild()

    async def _take(self, announcement: Announcement) -> bytes:
        plugin = announcement.plugin
        state = await self._store.load()
        known = state.kept.get(plugin)
        if wrong := self._problems(announcement, state):
            return self._refuse(plugin, *wrong)  # what was bound stays as it was
        if known is not None and (waits := self._awaited(announcement, state)):
            self._refuse(plugin, waits)
            await self._store.keep(plugin, let_wait(known, announcement))
            made = await self._rebuild()
            config = plugin_config(state.settings, plugin)
            return announce_answer("pending", made.generation, config, (waits,))
        refusal = await self._refuse_change(announcement, state)
        if known is not None and refusal is not None:
            await self._store.keep(plugin, let_wait(known, announcement))
            return self._refuse(plugin, refusal)
        self.refused.pop(plugin, None)
        await self._store.keep(plugin, accept(known, announcement))
        made = await self._rebuild()
        await self._transport.publish(subjects.announced(plugin), b"")
        if plugin in made.bound.pending:
            problem = Problem("", made.bound.pending[plugin])
            return announce_answer("pending", made.generation, {}, (problem,))
        config = plugin_config(made.state.settings, plugin)
        return announce_answer("bound", made.generation, config, ())

    def _awaited(self, announcement: Announcement, state: State) -> Problem | None:
        known = state.announced.get(announcement.plugin)
        return awaits_approval(announcement, known, state.settings) if known else None

    def _refuse(self, plugin: str, *problems: Problem) -> bytes:
        if subjects.is_name(plugin):
            self.refused.pop(plugin, None)
            self.refused[plugin] = problems[:MAX_PROBLEMS]
        if len(self.refused) > MAX_REFUSED:
            del self.refused[next(iter(self.refused))]  # the oldest
        return refusal_answer(problems)

    def _problems(self, announcement: Announcement, state: State) -> tuple[Problem, ...]:
        """Say why an announcement cannot be put in force."""
        plugin = announcement.plugin
        announced = {**state.announced, plugin: announcement}
        trial = bind(announced, state.settings, state.overrides, self._now())
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
        state = await self._store.load()
        kept = state.kept.get(plugin)
        self.refused.pop(plugin, None)
        if kept is None:
            return announce_answer("gone", 0, {}, ())
        if left := await self._left(announcement, kept):
            after = return_to(kept, left, lambda said: self._can_return(plugin, said, state))
            await self._store.keep(plugin, after)
        elif state.settings.mode == "development":
            await self._store.forget(plugin)
        else:
            await self._store.keep(plugin, Kept(kept.announcement))
        made = await self._rebuild()
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
        state = await self._store.load()
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

    async def _override(self, plugin: str, state: State, overrides: Overrides) -> Made:
        trial = bind(state.announced, state.settings, overrides, self._now())
        if wrong := trial.problems.get(plugin):  # it would be unbound, and nobody be asked
            raise _unbindable(wrong)
        await self._store.override(in_force(overrides, self._now()))
        return await self._rebuild()

    async def _rebuild(self) -> Made:
        """Write the document by compare-and-set; one that is equal is left alone (L04)."""
        for _ in range(ATTEMPTS):
            current = await self._config.get(subjects.CONFIG_KEY)
            # read after the revision: whoever changes it behind us makes our write fail
            state = await self._store.load()
            bound = bind(state.announced, state.settings, state.overrides, self._now())
            demand_named(bound, state.settings)
            generation = current.revision if current else 0
            if current is None or not holds(current.value, bound.document):
                try:
                    encoded = encode_document(bound.document)
                    generation = await self._config.update(subjects.CONFIG_KEY, encoded, generation)
                except KeyConflict:
                    continue
                log.info("generation %d: %d bindings", generation, len(bound.document.bindings))
            await self.on_bindings(bound.document.bindings)
            self._wait_for_expiry(state.overrides)
            return Made(generation, bound, state)
        raise HookbusError(f"the configuration could not be written: {ATTEMPTS} conflicts in a row")

    def _wait_for_expiry(self, overrides: Overrides) -> None:
        """Work it out again when the next override ends."""
        if self._expiry is not None:
            self._expiry.cancel()
        ends = [m.until for m in overrides.modes.values() if m.until and m.until > self._now()]
        if ends:
            delay = min(ends) - self._now()
            self._expiry = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._expiring = asyncio.get_running_loop().create_task(self.start())

    def _timestamp(self) -> str:
        at = datetime.fromtimestamp(self._now(), UTC)
        return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _unbindable(problems: tuple[Problem, ...]) -> ControlError:
    return ControlError("; ".join(map(str, problems)), code="unbindable", pointer="/plugin")


async def _nothing(bindings: tuple[Binding, ...]) -> None:
    pass
