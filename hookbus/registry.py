"""The registry: announcements and operators' requests in, one configuration document out.

Its only state is the broker's KV, so replicas need nothing of each other: every change reads all
of it, works out the document and writes that by compare-and-set.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from hookbus import presence, subjects
from hookbus.config.settings import Settings
from hookbus.errors import (
    ControlError,
    HookbusError,
    InvalidManifest,
    KeyConflict,
    Problem,
)
from hookbus.keyvalue import Entry, KeyValue
from hookbus.manifest.announcement import (
    Announcement,
    from_document,
    hooks_fingerprint,
    parse_announcement,
)
from hookbus.manifest.semver import is_newer
from hookbus.policy import Bound, Overrides, Removal, bind
from hookbus.snapshot import Binding, ConfigDocument, decode_document, encode_document
from hookbus.transport import Transport

PRESENCE_WINDOW: Final = 0.15  # seconds to wait for who is there
ATTEMPTS: Final = 20  # at a compare-and-set, against other registries

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """A plugin's announcement as it is kept, and which instances made it."""

    announcement: dict[str, Any]
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """All that the KV holds about plugins."""

    kept: dict[str, Kept]
    announced: dict[str, Announcement]
    overrides: Overrides


@dataclass(frozen=True, slots=True)
class Made:
    """The configuration after a change; its generation is the KV's revision."""

    generation: int
    bound: Bound


BindingsCallback = Callable[[tuple[Binding, ...]], Awaitable[None]]


class Registry:
    """Keeps the configuration; handlers take and return message bodies."""

    def __init__(
        self, transport: Transport, config: KeyValue, state: KeyValue, settings: Settings
    ) -> None:
        self._transport = transport
        self._config = config
        self._state = state
        self._settings = settings
        self._changing = asyncio.Lock()
        #: Called with the bindings after each change, to make the observers' consumers.
        self.on_bindings: BindingsCallback = _nothing

    async def start(self) -> Made:
        """Work the configuration out anew; what was announced before a restart is still bound."""
        async with self._changing:
            return await self._rebuild()

    async def announce(self, plugin: str, body: bytes) -> bytes:
        """Answer an announcement that came on ``hookbus.announce.<plugin>``."""
        try:
            announcement = parse_announcement(body, plugin)
        except InvalidManifest as e:
            return _announce_answer("refused", 0, {}, e.problems)
        async with self._changing:
            if announcement.goodbye:
                return await self._goodbye(announcement)
            return await self._take(announcement)

    async def plugins(self) -> tuple[State, Made]:
        """Return what is known of all plugins, changing nothing that is as it should be."""
        async with self._changing:
            return await self._load(), await self._rebuild()

    async def remove(self, plugin: str, by: str) -> Made:
        """Take a plugin out until it is approved again. Works while every plugin is broken (R24).

        Raises:
            ControlError: There is no such plugin.
        """
        async with self._changing:
            state = await self._load()
            if plugin not in state.announced and plugin not in self._settings.plugins:
                raise _unknown(plugin, state)
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            removed = {**state.overrides.removed, plugin: Removal(by, at)}
            return await self._override(msgspec.structs.replace(state.overrides, removed=removed))

    async def approve(self, plugin: str) -> Made:
        """Undo :meth:`remove`."""
        async with self._changing:
            state = await self._load()
            removed_before = state.overrides.removed
            if plugin not in {*removed_before, *state.announced, *self._settings.plugins}:
                raise _unknown(plugin, state)
            removed = {k: v for k, v in removed_before.items() if k != plugin}
            return await self._override(msgspec.structs.replace(state.overrides, removed=removed))

    def plugin_config(self, plugin: str) -> dict[str, Any]:
        """The values of ``[plugins.NAME.config]``."""
        said = self._settings.plugins.get(plugin)
        return dict(said.config) if said else {}

    async def _take(self, announcement: Announcement) -> bytes:
        plugin = announcement.plugin
        state = await self._load()
        known = state.kept.get(plugin)
        refusal = await self._refuse_change(announcement, state)
        if refusal is not None:
            return _announce_answer("refused", 0, {}, (refusal,))
        trial = bind({**state.announced, plugin: announcement}, self._settings, state.overrides)
        if plugin in trial.problems:  # a refused announcement leaves what was bound as it was
            return _announce_answer("refused", 0, {}, trial.problems[plugin])
        before = known.instances if known else ()
        instances = (*(i for i in before if i != announcement.instance), announcement.instance)
        await self._keep(announcement, instances)
        made = await self._rebuild()
        await self._transport.publish(subjects.announced(plugin), b"")
        if plugin in made.bound.pending:
            problem = Problem("", made.bound.pending[plugin])
            return _announce_answer("pending", made.generation, {}, (problem,))
        return _announce_answer("bound", made.generation, self.plugin_config(plugin), ())

    async def _refuse_change(self, announcement: Announcement, state: State) -> Problem | None:
        """Other hooks under the same or a lower version are refused while a replica answers."""
        known = state.announced.get(announcement.plugin)
        if (
            known is None
            or hooks_fingerprint(known.hooks) == hooks_fingerprint(announcement.hooks)
            or is_newer(announcement.version, known.version)
        ):
            return None
        others = await self._others(announcement)
        if not others:
            return None
        return Problem(
            "hooks",
            f"instance {others[0]} answers with version {known.version} and other hooks;"
            f" raise the version above {known.version}, got {announcement.version}",
        )

    async def _goodbye(self, announcement: Announcement) -> bytes:
        """R31: in development a clean goodbye of the last replica removes the binding."""
        plugin = announcement.plugin
        state = await self._load()
        kept = state.kept.get(plugin)
        if kept is None:
            return _announce_answer("gone", 0, {}, ())
        left = tuple(i for i in kept.instances if i != announcement.instance)
        if left and not await self._are_gone(announcement, left):
            await self._keep(state.announced[plugin], left)
        elif self._settings.mode == "development":
            await self._state.delete(subjects.announcement_key(plugin))
        else:
            await self._keep(state.announced[plugin], ())
        made = await self._rebuild()
        return _announce_answer("gone", made.generation, {}, ())

    async def _are_gone(self, announcement: Announcement, left: tuple[str, ...]) -> bool:
        """Tell whether replicas that never said goodbye are dead.

        Silence proves it only for a plugin that answers the Service API at all, as the one that
        is leaving still does. Where it does not, a replica that announced itself counts as there.
        """
        present = await self._present(announcement.plugin)
        return announcement.instance in present and not present.intersection(left)

    async def _others(self, announcement: Announcement) -> list[str]:
        present = await self._present(announcement.plugin)
        return sorted(present - {announcement.instance})

    async def _present(self, plugin: str) -> set[str]:
        answers = await presence.ask(self._transport, "PING", plugin, window=PRESENCE_WINDOW)
        return {answer["id"] for answer in answers}

    async def _keep(self, announcement: Announcement, instances: tuple[str, ...]) -> None:
        kept = Kept(announcement.to_document(), instances)
        key = subjects.announcement_key(announcement.plugin)
        await self._state.put(key, msgspec.json.encode(kept))

    async def _override(self, overrides: Overrides) -> Made:
        await self._state.put(subjects.OVERRIDES_KEY, msgspec.json.encode(overrides))
        return await self._rebuild()

    async def _load(self) -> State:
        names = [key for key in await self._state.keys() if key.startswith("plugin.")]
        entries = await asyncio.gather(*(self._state.get(key) for key in names))
        kept: dict[str, Kept] = {}
        announced: dict[str, Announcement] = {}
        for key, entry in zip(names, entries, strict=True):
            if entry is not None:
                plugin = key.removeprefix("plugin.")
                kept[plugin] = msgspec.json.decode(entry.value, type=Kept)
                announced[plugin] = from_document(kept[plugin].announcement, plugin)
        said = await self._state.get(subjects.OVERRIDES_KEY)
        overrides = msgspec.json.decode(said.value, type=Overrides) if said else Overrides()
        return State(kept, announced, overrides)

    async def _rebuild(self) -> Made:
        """Write the document by compare-and-set; one that is equal is left alone (L04)."""
        for _ in range(ATTEMPTS):
            current = await self._config.get(subjects.CONFIG_KEY)
            state = (
                await self._load()
            )  # after the revision: a change behind it makes the write fail
            bound = bind(state.announced, self._settings, state.overrides)
            if current is not None and _holds(current, bound.document):
                await self.on_bindings(bound.document.bindings)
                return Made(current.revision, bound)
            try:
                generation = await self._config.update(
                    subjects.CONFIG_KEY,
                    encode_document(bound.document),
                    current.revision if current else 0,
                )
            except KeyConflict:
                continue
            log.info("generation %d: %d bindings", generation, len(bound.document.bindings))
            await self.on_bindings(bound.document.bindings)
            return Made(generation, bound)
        raise HookbusError(f"the configuration could not be written: {ATTEMPTS} conflicts in a row")


async def tell_config(transport: Transport, plugin: str, config: dict[str, Any]) -> None:
    """Tell every replica of *plugin* its new configuration."""
    body = msgspec.json.encode({"v": 1, "config": config})
    await transport.publish(subjects.config(plugin), body)


def _holds(entry: Entry, document: ConfigDocument) -> bool:
    try:
        return decode_document(entry.value) == document
    except (msgspec.DecodeError, ValueError, zlib.error):
        return False  # written by another version: write it anew


def _unknown(plugin: str, state: State) -> ControlError:
    known = ", ".join(sorted(state.announced)) or "none"
    return ControlError(
        f"plugin {plugin!r} is neither announced nor in the settings; announced are: {known}",
        code="unknown_plugin",
        pointer="/plugin",
    )


def _announce_answer(
    state: str, generation: int, config: dict[str, Any], problems: tuple[Problem, ...]
) -> bytes:
    return msgspec.json.encode(
        {
            "v": 1,
            "state": state,
            "generation": generation,
            "config": config,
            "problems": [{"at": p.at, "message": p.message} for p in problems],
        }
    )


async def _nothing(bindings: tuple[Binding, ...]) -> None:
    pass
