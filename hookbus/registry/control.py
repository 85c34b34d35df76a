"""Operators' requests, answered: what they ask, and what they change."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, get_args

import msgspec

from hookbus import presence, subjects
from hookbus.config.flatten import flatten
from hookbus.errors import ControlError, HookbusError
from hookbus.manifest.problems import shown
from hookbus.models import Mode
from hookbus.operations import DEFAULT_WAIT_MS
from hookbus.registry.history import history_view
from hookbus.registry.registry import Registry
from hookbus.registry.requests import (
    Operation,
    flag_of,
    integer_of,
    invalid,
    name_of,
    read_request,
    seconds_of,
)
from hookbus.registry.settings_changes import SettingsChange, tell_changed_configs
from hookbus.registry.type_changes import type_changes
from hookbus.registry.type_views import types_view, unknown_type
from hookbus.registry.views import difference, plain, plugin_view
from hookbus.transport import Transport
from hookbus.wire.decision import ErrorBody, encode_answer, encode_error

POLL: Final = 0.02  # seconds between two questions to the dispatchers
WINDOW: Final = 0.1  # seconds to collect answers
MAX_WAIT_MS: Final = 60_000  # nobody's question goes round for ever
MAX_AT_ONCE: Final = 16  # requests of one principal
DEFAULT_HISTORY: Final = 10  # generations

log = logging.getLogger(__name__)

#: What each observer is told to be like in `list`, by plugin and hook.
LookAtObservers = Callable[[], Awaitable[Mapping[tuple[str, str], Any]]]


class Control:
    """Answers ``hookbus.ctl.<principal>.<operation>``. It is never hooked (R24)."""

    def __init__(
        self,
        registry: Registry,
        transport: Transport,
        observers: LookAtObservers,
        more: Mapping[str, Operation],
    ) -> None:
        """*more* operations are carried out like our own."""
        self._registry = registry
        self._transport = transport
        self._observers = observers
        self._running: Counter[str] = Counter()
        self._operations: dict[str, Operation] = {
            "list": self._list,
            "remove": self._remove,
            "approve": self._approve,
            "mode": self._mode,
            "apply": self._apply,
            "add_type": self._add_type,
            "rollback": self._rollback,
            "settings": self._show_settings,
            "history": self._history,
            "types": self._types,
            "wait_generation": self._wait_generation,
            **more,
        }

    async def answer(self, principal: str, operation: str, body: bytes) -> bytes:
        """Carry one request out; what is wrong with it is the answer."""
        try:
            if not subjects.is_name(principal):
                raise ControlError(
                    f"principal: expected a name like {subjects.NAME.pattern}, got"
                    f" {shown(principal)}",
                    code="invalid_request",
                )
            request = read_request(body)
            handler = self._operations.get(operation)
            if handler is None:
                known = ", ".join(self._operations)
                raise ControlError(
                    f"expected one of {known}, got {shown(operation)}", code="unknown_operation"
                )
            return encode_answer(await self._bounded(handler, principal, request))
        except ControlError as e:
            return encode_error(ErrorBody(e.code, str(e), e.pointer))
        except HookbusError as e:
            return encode_error(ErrorBody("failed", str(e)))

    async def _bounded(
        self, handler: Operation, principal: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Carry out so many at a time for each principal: nobody keeps the others waiting."""
        if self._running[principal] >= MAX_AT_ONCE:
            raise ControlError(
                f"{MAX_AT_ONCE} requests of {principal!r} are being carried out; ask again later",
                code="overloaded",
            )
        self._running[principal] += 1
        try:
            return await handler(principal, request)
        finally:
            self._running[principal] -= 1
            if not self._running[principal]:
                del self._running[principal]

    async def _list(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.settings.refresh()
        state = made.state
        refused = self._registry.refused(state)
        known = {*state.announced, *(b.plugin for b in made.bound.document.bindings)}
        names = sorted({*known, *refused})
        present = await asyncio.gather(*(self._replicas(name) for name in names))
        try:
            observers = await self._observers()
        except HookbusError as e:  # whoever mends the streams must see the rest
            log.warning("observers_not_seen: %s", e)
            observers = {}
        plugins = [
            plugin_view(name, made, replicas, refused.get(name, ()), observers)
            for name, replicas in zip(names, present, strict=True)
            if replicas or name in known
        ]
        return {"generation": made.generation, "plugins": plugins}

    async def _replicas(self, plugin: str) -> list[dict[str, Any]]:
        answers = await presence.ask(self._transport, "PING", plugin, window=WINDOW)
        return [
            {
                "instance": answer["id"],
                "version": answer.get("version", ""),
                "metadata": answer.get("metadata", {}),
            }
            for answer in answers
        ]

    async def _remove(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.remove(name_of(request), principal, seconds_of(request))
        return {"generation": made.generation}

    async def _approve(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.approve(name_of(request), principal, seconds_of(request))
        return {"generation": made.generation}

    async def _mode(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        plugin = name_of(request)
        if "mode" not in request:  # null takes an override back, which nobody must do by mistake
            raise invalid("/mode", "missing; expected a mode, or null to take the override back")
        mode = request["mode"]
        if mode is not None and mode not in get_args(Mode):
            expected = ", ".join(get_args(Mode))
            raise invalid("/mode", f"expected one of {expected} or null, got {shown(mode)}")
        hook = name_of(request, "hook") if request.get("hook") is not None else None
        seconds = seconds_of(request)
        made = await self._registry.set_mode(plugin, hook, mode, seconds, by=principal)
        return {"generation": made.generation}

    async def _apply(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        tree = request.get("settings")
        if not isinstance(tree, dict):
            raise invalid("/settings", f"expected an object, got {type(tree).__name__}")
        is_trial = flag_of(request, "dry_run")
        change = await self._registry.settings.apply(tree, principal, is_trial=is_trial)
        return await self._changed(change)

    async def _rollback(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        generation = integer_of(request, "generation", 0)
        return await self._changed(await self._registry.settings.rollback(generation, principal))

    async def _add_type(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Nothing is made, and the generation is null, if events may be refused and no `force`."""
        name, schema = request.get("type"), request.get("schema")
        if not isinstance(name, str) or not subjects.is_event_type(name):
            raise invalid("/type", f"expected an event type like order_placed, got {shown(name)}")
        if not isinstance(schema, dict):
            raise invalid("/schema", f"expected a JSON Schema, an object, got {shown(schema)}")
        change = await self._registry.settings.add_type(
            name,
            schema,
            principal,
            is_trial=flag_of(request, "dry_run"),
            is_forced=flag_of(request, "force"),
        )
        return {**await self._changed(change), "owner": change.before.owner}

    async def _changed(self, change: SettingsChange) -> dict[str, Any]:
        await tell_changed_configs(self._transport, change)
        before, after = change.before.settings, change.after.settings
        return {
            "difference": difference(before, after),
            "generation": change.made.generation if change.made else None,
            "types": msgspec.to_builtins(
                type_changes(change.before.settings, change.after.settings)
            ),
            "overrides": msgspec.to_builtins(change.after.overrides),
        }

    async def _types(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Tell of one type or of all: schema, secret fields, limits, and whose hooks ask for it."""
        made = await self._registry.settings.refresh()
        shown_types = types_view(made)
        if request.get("type") is not None:
            known = [view["name"] for view in shown_types]
            shown_types = [v for v in shown_types if v["name"] == request["type"]]
            if not shown_types:
                raise unknown_type(request["type"], known)
        return {"generation": made.generation, "types": shown_types}

    async def _show_settings(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.settings.refresh()
        rows = [
            {"key": row.key, "value": plain(row.value), "origin": row.origin}
            for row in flatten(made.state.settings)
        ]
        return {
            "generation": made.generation,
            "settings": rows,
            "overrides": msgspec.to_builtins(made.state.overrides),
            "owner": made.state.owner,
            "applied": made.state.applied is not None,
        }

    async def _history(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Tell who made the last generations, when, and what each changed; the newest first."""
        wanted = integer_of(request, "n", DEFAULT_HISTORY)
        kept = await self._registry.configuration.generations()
        newest = kept[-1].number if kept else 0
        return {"generation": newest, "history": history_view(kept, wanted)}

    async def _wait_generation(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return when every dispatcher that answers serves at least that generation (L03)."""
        wanted = integer_of(request, "generation", 0)
        timeout_ms = integer_of(request, "timeout_ms", DEFAULT_WAIT_MS, MAX_WAIT_MS)
        served: list[int] = []
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while True:
                    served = await self._served()
                    if served and min(served) >= wanted:
                        return {"generation": min(served), "dispatchers": len(served)}
                    await asyncio.sleep(POLL)
        except TimeoutError:
            found = ", ".join(map(str, sorted(served)))
            what = f"dispatchers serve {found}" if served else "no dispatcher answers; start one"
            raise ControlError(
                f"generation {wanted} is not served after {timeout_ms} ms: {what}", code="timeout"
            ) from None

    async def _served(self) -> list[int]:
        answers = await presence.ask(
            self._transport, "STATS", subjects.DISPATCHER_SERVICE, window=WINDOW
        )
        return [generation for a in answers if (generation := _generation(a)) is not None]


def _generation(answer: dict[str, Any]) -> int | None:
    """What a dispatcher serves; anybody may answer in its name, and in any shape."""
    match answer.get("endpoints"):
        case [{"data": {"generation": int(generation)}}, *_]:
            return generation
    return None
