"""The configuration document: worked out anew after each change, and written by compare-and-set.

Its only state is the broker's KV, so registries need nothing of each other.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.errors import HookbusError, KeyConflict, SettingsError
from hookbus.keyvalue import Entry, KeyValue
from hookbus.registry.applied import Applied, decode_applied, encode_applied
from hookbus.registry.binder import Binder, Bound, demand_named
from hookbus.registry.policy import Overrides, next_end
from hookbus.registry.state import NOTHING_APPLIED, State, StateStore
from hookbus.snapshot import (
    Binding,
    Change,
    ConfigDocument,
    decode_document,
    encode_document,
    is_document,
    is_same,
)

ATTEMPTS: Final = 20  # at a compare-and-set, against other registries
OURSELVES: Final = "registry"  # who made what no plugin and no operator asked for

log = logging.getLogger(__name__)

#: Says which settings are to be in force; takes and returns None for none.
Settle = Callable[[Applied | None], Applied | None]


@dataclass(frozen=True, slots=True)
class Made:
    """The configuration after a change; its generation is the KV's revision, 0 before the first."""

    generation: int
    bound: Bound
    state: State


@dataclass(frozen=True, slots=True)
class Generation:
    """One that is kept."""

    number: int
    document: ConfigDocument

    @property
    def applied(self) -> Applied | None:
        """Its settings; None also if another version of the bus wrote them."""
        try:
            return decode_applied(self.document.settings)
        except msgspec.DecodeError:
            return None

    @property
    def plugins(self) -> set[str]:
        """Those that are bound."""
        return {binding.plugin for binding in self.document.bindings}


class Configuration:
    """Writes what announcements, settings and overrides come to."""

    def __init__(self, config: KeyValue, store: StateStore, now: Callable[[], float]) -> None:
        """*now* is the wall clock, for overrides that have an end."""
        self.store = store
        self._config = config
        self._binder = Binder()
        self.now = now
        self._expiry: asyncio.TimerHandle | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._settings = (b"", NOTHING_APPLIED)  # what was read the last time, and out of what
        self._readable: ConfigDocument | None = None  # the last one that was
        self._decoded: tuple[bytes, ConfigDocument | None] = (b"", None)  # out of what, and what
        #: What is in force as far as this registry knows, whoever made it.
        self.current: Generation | None = None
        #: Why the settings in force are not what they should be, for health.
        self.problem: str | None = None
        #: Called with the settings before each write, to make the streams as they say.
        self.on_settings: Callable[[Settings], Awaitable[None]] = _nothing
        #: Called with the bindings after each change, to make the observers' consumers.
        self.on_bindings: Callable[[tuple[Binding, ...]], Awaitable[None]] = _nothing
        #: Called when an override has ended, which changes what is bound.
        self.on_expiry: Callable[[], Awaitable[object]] = _nowhere

    def stop(self) -> None:
        """Let nothing end by itself any more."""
        if self._expiry is not None:
            self._expiry.cancel()

    async def load(self) -> State:
        """Read all that the configuration is made of."""
        entry = await self._config.get(subjects.CONFIG_KEY)
        return await self._load(self._applied(await self._document(entry)))

    def applied_of(self, settings: Settings, owner: str | None) -> Applied:
        """Take settings as they were read, and remember where each of them stands in the file."""
        applied = Applied.of(settings, owner)
        self._settings = (bytes(encode_applied(applied)), settings)
        return applied

    def bind(self, state: State) -> Bound:
        """Work out what *state* comes to now."""
        return self._binder.bind(state.announced, state.settings, state.overrides, self.now())

    async def write(self, by: str, what: str, settle: Settle = lambda applied: applied) -> Made:
        """Write the document; one that is equal is left alone (L04).

        Before any settings are applied nothing is written, and who dispatches is not ready.

        Raises:
            SettingsError: A plugin that the settings name cannot be bound (R31).
            HookbusError: The document is too large, or other registries are always faster.
        """
        made = await self._write(by, what, settle)
        if made.state.applied is not None:
            self.current = Generation(made.generation, made.bound.document)
        return made

    def heard(self, entry: Entry) -> None:
        """Take note of a generation; another registry may have made it."""
        if self.current is None or entry.revision > self.current.number:
            document = self._decode(entry)
            if document is not None:
                self.current = Generation(entry.revision, document)

    async def _write(self, by: str, what: str, settle: Settle) -> Made:
        for _ in range(ATTEMPTS):
            entry = await self._config.get(subjects.CONFIG_KEY)
            # all else is read after the revision: who changes it behind us makes our write fail
            document = await self._document(entry)
            applied = settle(self._applied(document))
            state = await self._load(applied)
            bound = self.bind(state)
            demand_named(bound, state.settings)
            await self.on_settings(state.settings)
            generation = entry.revision if entry else 0
            if applied is None:
                return Made(generation, bound, state)
            self.problem = None
            new = msgspec.structs.replace(bound.document, settings=encode_applied(applied))
            if document is None or _is_foreign(entry) or not is_same(document, new):
                change = Change(by=by, at=self.timestamp(), what=what)
                encoded = encode_document(msgspec.structs.replace(new, made=change))
                try:
                    generation = await self._config.update(subjects.CONFIG_KEY, encoded, generation)
                except KeyConflict:
                    continue
                log.info("generation %d: %d bindings (%s)", generation, len(new.bindings), what)
                if document is None or document.settings != new.settings:
                    await self.store.remember(generation, encoded)
            await self.on_bindings(new.bindings)
            self._wait_for_expiry(state.overrides)
            return Made(generation, replace(bound, document=new), state)
        raise HookbusError(f"the configuration could not be written: {ATTEMPTS} conflicts in a row")

    async def _document(self, entry: Entry | None) -> ConfigDocument | None:
        """Decode; in place of what no registry wrote, take the newest one that a registry did."""
        document = self._decode(entry)
        if document is None and _is_foreign(entry):
            kept = (generation.document for generation in reversed(await self.generations()))
            document = self._readable or next(kept, None)
        self._readable = document or self._readable
        return document

    def _decode(self, entry: Entry | None) -> ConfigDocument | None:
        """Decode, unless it was the last one: each change reads it three times."""
        if entry is None:
            return None
        if entry.value != self._decoded[0]:
            self._decoded = entry.value, _document(entry)
        return self._decoded[1]

    async def generations(self) -> list[Generation]:
        """Read those that are kept, the oldest first: the last ones, and before them those that
        changed the settings, which no plugin's announcements push out.
        """
        entries = await self._config.history(subjects.CONFIG_KEY)
        oldest = entries[0].revision if entries else 0
        earlier = [entry for entry in await self.store.remembered() if entry.revision < oldest]
        found = ((entry.revision, _document(entry)) for entry in (*earlier, *entries))
        return [Generation(number, document) for number, document in found if document is not None]

    def timestamp(self) -> str:
        """Say the time for people: ``"2026-11-21T10:00:00Z"``"""
        at = datetime.fromtimestamp(self.now(), UTC)
        return at.isoformat(timespec="seconds").replace("+00:00", "Z")

    def _applied(self, document: ConfigDocument | None) -> Applied | None:
        """Read the applied settings; what cannot be read serves on, and nothing is written."""
        try:
            applied = decode_applied(document.settings) if document is not None else None
            if applied is not None:
                self._parse(applied)
        except (msgspec.DecodeError, SettingsError) as e:
            problem = f"the applied settings cannot be read: {e}; apply a file"
            if problem != self.problem:
                log.error("%s", problem)
            self.problem = problem
            return None
        self.problem = None
        return applied

    def _parse(self, applied: Applied) -> Settings:
        encoded = bytes(encode_applied(applied))
        if encoded != self._settings[0]:
            self._settings = (encoded, applied.settings())
        return self._settings[1]

    async def _load(self, applied: Applied | None) -> State:
        settings = self._parse(applied) if applied is not None else NOTHING_APPLIED
        return await self.store.load(applied, settings)

    def _wait_for_expiry(self, overrides: Overrides) -> None:
        """Work it out again when the next override ends."""
        if self._expiry is not None:
            self._expiry.cancel()
        end = next_end(overrides, self.now())
        if end is not None:
            self._expiry = asyncio.get_running_loop().call_later(end - self.now(), self._expire)

    def _expire(self) -> None:
        self._expiring = asyncio.get_running_loop().create_task(self._on_expired())

    async def _on_expired(self) -> None:
        try:
            await self.on_expiry()
        except HookbusError as e:  # the next change works it out again
            log.warning("override_not_ended: %s", e)


def _document(entry: Entry | None) -> ConfigDocument | None:
    """Decode; what another version of the bus wrote, and this one cannot read, is nothing."""
    try:
        return decode_document(entry.value) if entry is not None else None
    except (msgspec.DecodeError, ValueError, zlib.error) as e:
        log.error("configuration_unreadable: %s", e)
        return None


def _is_foreign(entry: Entry | None) -> bool:
    """Tell whether no registry wrote it: NATS does not check reply subjects, so that whoever asks
    JetStream, or acknowledges, can have the broker write its answer there.
    """
    return entry is not None and not is_document(entry.value)


async def _nothing(argument: object) -> None:
    pass


async def _nowhere() -> None:
    pass
