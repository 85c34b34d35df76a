"""Operators' requests: the registry's side answers them, the CLI's side sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_args

import msgspec

from hookbus import presence, subjects
from hookbus.config.flatten import flatten
from hookbus.config.settings import Settings
from hookbus.errors import ControlError, HookbusError, NoResponders, Problem
from hookbus.manifest.fields import LARGEST_INTEGER
from hookbus.manifest.problems import shown
from hookbus.models import Mode
from hookbus.plugin_config import plugin_config, tell_config
from hookbus.registry import Made, Registry
from hookbus.snapshot import Binding
from hookbus.transport import Transport
from hookbus.wire.decision import ErrorBody, encode_answer, encode_error
from hookbus.wire.limits import NOT_JSON

POLL: Final = 0.02  # seconds between two questions to the dispatchers
WINDOW: Final = 0.1  # seconds to collect answers
REQUEST_TIMEOUT: Final = 5.0  # seconds, beside what the request itself may wait
DEFAULT_WAIT_MS: Final = 5_000
MAX_WAIT_MS: Final = 60_000  # nobody's question goes round for ever
MAX_OVERRIDE_S: Final = 10 * 365 * 24 * 3_600


class Control:
    """Answers ``hookbus.ctl.<principal>.<operation>``. It is never hooked (R24)."""

    def __init__(self, registry: Registry, transport: Transport) -> None:
        self._registry = registry
        self._transport = transport
        self._operations: dict[str, Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "list": self._list,
            "remove": self._remove,
            "approve": self._approve,
            "mode": self._mode,
            "apply": self._apply,
            "settings": self._show_settings,
            "wait_generation": self._wait_generation,
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
            request = _request(body)
            handler = self._operations.get(operation)
            if handler is None:
                known = ", ".join(self._operations)
                raise ControlError(
                    f"expected one of {known}, got {shown(operation)}", code="unknown_operation"
                )
            return encode_answer(await handler(principal, request))
        except ControlError as e:
            return encode_error(ErrorBody(e.code, str(e), e.pointer))
        except HookbusError as e:
            return encode_error(ErrorBody("failed", str(e)))

    async def _list(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.start()
        state = made.state
        refused = self._registry.refused
        known = {*state.announced, *(b.plugin for b in made.bound.document.bindings)}
        names = sorted({*known, *refused})
        present = await asyncio.gather(*(self._replicas(name) for name in names))
        plugins = [
            _plugin(name, made, replicas, refused.get(name, ()))
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
        made = await self._registry.remove(_name(request), by=principal)
        return {"generation": made.generation}

    async def _approve(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.approve(_name(request))
        return {"generation": made.generation}

    async def _mode(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        plugin = _name(request)
        if "mode" not in request:  # null takes an override back, which nobody must do by mistake
            raise _invalid("/mode", "missing; expected a mode, or null to take the override back")
        mode = request["mode"]
        if mode is not None and mode not in get_args(Mode):
            expected = ", ".join(get_args(Mode))
            raise _invalid("/mode", f"expected one of {expected} or null, got {shown(mode)}")
        hook = _name(request, "hook") if request.get("hook") is not None else None
        seconds = None
        if request.get("for_s") is not None:
            seconds = _integer(request, "for_s", 1, MAX_OVERRIDE_S)
            if seconds == 0:
                raise _invalid("/for_s", "expected an integer from 1, got 0; null has no end")
        made = await self._registry.set_mode(plugin, hook, mode, seconds, by=principal)
        return {"generation": made.generation}

    async def _apply(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        tree = request.get("settings")
        if not isinstance(tree, dict):
            raise _invalid("/settings", f"expected an object, got {type(tree).__name__}")
        is_trial = request.get("dry_run") is True
        before, after, made = await self._registry.apply(tree, principal, is_trial=is_trial)
        for plugin in {*before.settings.plugins, *after.settings.plugins} if made else ():
            config = plugin_config(after.settings, plugin)
            if config != plugin_config(before.settings, plugin):
                await tell_config(self._transport, plugin, config)
        return {
            "difference": _difference(before.settings, after.settings),
            "generation": made.generation if made else None,
        }

    async def _show_settings(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        made = await self._registry.start()
        rows = [
            {"key": row.key, "value": _plain(row.value), "origin": row.origin}
            for row in flatten(made.state.settings)
        ]
        overrides = msgspec.to_builtins(made.state.overrides)
        return {"generation": made.generation, "settings": rows, "overrides": overrides}

    async def _wait_generation(self, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return when every dispatcher that answers serves at least that generation (L03)."""
        wanted = _integer(request, "generation", 0)
        timeout_ms = _integer(request, "timeout_ms", DEFAULT_WAIT_MS, MAX_WAIT_MS)
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


async def request(
    transport: Transport, principal: str, operation: str, **members: Any
) -> dict[str, Any]:
    """Send one operator's request and return the answer's members.

    Raises:
        ControlError: The registry refused it, or there is no registry.
        TransportError: It was not answered.
    """
    timeout = REQUEST_TIMEOUT + members.get("timeout_ms", DEFAULT_WAIT_MS) / 1000
    subject = subjects.control(principal, operation)
    body = msgspec.json.encode({"v": 1, **members})
    try:
        reply = await transport.request(subject, body, timeout=timeout)
    except NoResponders as e:
        raise ControlError(
            "no registry is listening; is 'hookbus up' running?", code="no_registry"
        ) from e
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    if "error" in answer:
        error = msgspec.convert(answer["error"], ErrorBody)
        raise ControlError(error.message, code=error.code, pointer=error.pointer)
    return answer


def _plugin(
    name: str, made: Made, replicas: list[dict[str, Any]], refused: tuple[Problem, ...]
) -> dict[str, Any]:
    bound, state = made.bound, made.state
    bindings = [b for b in bound.document.bindings if b.plugin == name]
    announcement = state.announced.get(name)
    wrong = refused or bound.problems.get(name, ())
    problem = bound.pending.get(name) or "; ".join(map(str, wrong))
    return {
        "plugin": name,
        "version": announcement.version if announcement else None,
        "state": "bound" if bindings else "refused" if refused else "pending",
        "problem": problem or None,
        "hooks": [_hook(b, bound.origins.get((name, b.hook), {})) for b in bindings],
        "replicas": replicas,
    }


def _hook(binding: Binding, origins: dict[str, str]) -> dict[str, Any]:
    """Show a binding; what *origins* does not name is the default."""
    hook: dict[str, Any] = msgspec.to_builtins(binding)
    for member in ("plugin", "mode_until", "mode_then"):  # an override's end is in the origin
        del hook[member]
    return {"name": hook.pop("hook"), **hook, "origins": origins}


def _difference(before: Settings, after: Settings) -> list[dict[str, Any]]:
    """What other settings change, as ``{key, before, after}``; None is not said."""
    old = {row.key: row.value for row in flatten(before)}
    new = {row.key: row.value for row in flatten(after)}
    return [
        {"key": key, "before": _plain(old.get(key)), "after": _plain(new.get(key))}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str)


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(body)
    except NOT_JSON as e:
        raise ControlError(f"not JSON: {e}", code="invalid_request") from e
    if not isinstance(request, dict) or request.get("v") != 1:
        raise ControlError("expected an object with v 1", code="invalid_request", pointer="/v")
    return request


def _name(request: dict[str, Any], member: str = "plugin") -> str:
    name = request.get(member)
    if not isinstance(name, str) or not subjects.is_name(name):
        raise _invalid(f"/{member}", f"expected a {member}'s name, got {shown(name)}")
    return name


def _generation(answer: dict[str, Any]) -> int | None:
    """What a dispatcher serves; anybody may answer in its name, and in any shape."""
    match answer.get("endpoints"):
        case [{"data": {"generation": int(generation)}}, *_]:
            return generation
    return None


def _integer(
    request: dict[str, Any], member: str, default: int, most: int = LARGEST_INTEGER
) -> int:
    value = request.get(member)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _invalid(f"/{member}", f"expected an integer, 0 … {most}, got {shown(value)}")
    return value


def _invalid(pointer: str, message: str) -> ControlError:
    return ControlError(message, code="invalid_request", pointer=pointer)
