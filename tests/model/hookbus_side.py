"""The model's settings, scripts and events on hookbus itself: broker in memory, virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.catalog import TypeSettings
from hookbus.dispatch.role import DispatcherRole
from hookbus.keyvalue import KeyValue
from hookbus.message import Message
from hookbus.snapshot import Binding, BreakerLimits, ConfigDocument, Limits, Snapshot
from hookbus.testing import MemoryBroker, MemoryKeyValue, MemoryTransport, run_virtual
from tests.model.values import Event, Fails, Hook, Says, Settings, Step

PATIENCE: Final = 600.0  # seconds, virtual

_WORDING: Final = re.compile(
    r"^((?:[a-z0-9-]+: )?"
    r"(?:no_responders|timeout|service_error|overloaded|malformed|uid_mismatch|unknown_verdict"
    r"|phase_violation|reply_too_large|bad_patch|forbidden_write|breaker_open|match_error|schema"
    r"|dry_run_unsupported|id_reuse|not_converged|write_conflict|would change)).*"
)


def decisions(settings: Settings, events: Sequence[tuple[Event, int]]) -> list[dict[str, Any]]:
    """Emit one event after another, each so many microseconds after the last decision."""
    return run_virtual(_emit_all(settings, events))


async def _emit_all(
    settings: Settings, events: Sequence[tuple[Event, int]]
) -> list[dict[str, Any]]:
    async with RunningBus(settings) as bus:
        replies = []
        for event, pause in events:
            await asyncio.sleep(pause / 1e6)
            replies.append(await bus.emit(event))
        return replies


class RunningBus:
    """A dispatcher under *settings*, its scripted plugins, and one emitter."""

    def __init__(self, settings: Settings) -> None:
        self._broker = MemoryBroker()
        self._emitter = MemoryTransport(self._broker)
        self._settings = settings
        transport = MemoryTransport(self._broker)
        self.role = DispatcherRole(transport, self._open_config, version="0.0.0")

    def connect(self) -> MemoryTransport:
        """One more connection to the same broker."""
        return MemoryTransport(self._broker)

    async def __aenter__(self) -> RunningBus:
        await self.role.start()
        self.role.ingress.use(snapshot_of(self._settings))
        for hook in self._settings.hooks:
            if hook.script and hook.mode != "off":
                await ScriptedHook(hook, self.connect()).listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.role.stop()

    async def _open_config(self) -> KeyValue:
        return MemoryKeyValue(self._broker, subjects.CONFIG_BUCKET)

    async def emit(self, event: Event) -> dict[str, Any]:
        """Return the decision message as any client receives it."""
        subject = subjects.emit(event.principal, event.type)
        reply = await self._emitter.request(subject, encoded(event), timeout=PATIENCE)
        return msgspec.json.decode(reply.data, type=dict[str, Any])


class ScriptedHook:
    """One hook's plugin, speaking the protocol by hand, right or wrong."""

    def __init__(self, hook: Hook, transport: MemoryTransport) -> None:
        self._hook = hook
        self._transport = transport
        self._received = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        subject = subjects.call(self._hook.plugin, self._hook.name)
        await self._transport.subscribe(subject, self._on_call, queue=self._hook.plugin)

    def _on_call(self, message: Message) -> None:
        call = msgspec.json.decode(message.data, type=dict[str, Any])
        step = self._hook.script[min(self._received, len(self._hook.script) - 1)]
        self._received += 1
        if step.extend is not None:
            at, wanted_ms = step.extend
            self._later(at, message.reply, self._body(call, verdict="extend", extend_ms=wanted_ms))
        body = self._answer(call, step)
        if body is not None:
            self._later(step.after, message.reply, body)

    def _later(self, after: int, subject: str, body: bytes) -> None:
        asyncio.get_running_loop().call_later(after / 1e6, self._send, subject, body)

    def _send(self, subject: str, body: bytes) -> None:
        sending = asyncio.ensure_future(self._transport.publish(subject, body))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def _answer(self, call: dict[str, Any], step: Step) -> bytes | None:
        return answer_of(call, self._hook.plugin, self._hook.version, step.answer)

    def _body(self, call: dict[str, Any], **members: Any) -> bytes:
        return reply_of(call, self._hook.plugin, self._hook.version, **members)


def answer_of(
    call: dict[str, Any], plugin: str, version: str, answer: Says | Fails
) -> bytes | None:
    """The reply's bytes, right or wrong; None is silence."""

    def body(call: dict[str, Any], **members: Any) -> bytes:
        return reply_of(call, plugin, version, **members)

    if isinstance(answer, Says):
        return body(call, **members_of(answer))
    match answer.how:
        case "silence":
            return None
        case "malformed":
            return b""
        case "reply_too_large":
            return b" " * (MAX_REPLY_BYTES + 1)
        case "service_error":
            return body(call, verdict="error", code="broken", reason="it broke")
        case "overloaded":
            return body(call, verdict="error", code="overloaded")
        case "unknown_verdict":
            return body(call, verdict="perhaps")
        case "uid_mismatch":
            return body({**call, "call": "A" * 22}, verdict="continue")
        case "old_attempt":
            return body({**call, "attempt": call["attempt"] - 1}, verdict="continue")
        case "spoof":
            return body(call, verdict="continue", plugin="somebody-else")
    raise AssertionError(answer.how)


def reply_of(call: dict[str, Any], plugin: str, version: str, **members: Any) -> bytes:
    """An honest reply but for *members*."""
    honest = {
        "v": 1,
        "call": call["call"],
        "attempt": call["attempt"],
        "plugin": plugin,
        "version": version,
    }
    return msgspec.json.encode({**honest, **members})


def members_of(says: Says) -> dict[str, Any]:
    """The verdict's own members of a reply."""
    members: dict[str, Any] = {
        "verdict": says.verdict,
        "warnings": says.warnings,
        "annotations": says.annotations,
    }
    if says.change is not None:
        members[says.change[0]] = says.change[1]
    if says.verdict == "block":
        members |= {"reason": says.reason, "code": says.code, "message": says.message}
    return members


MAX_REPLY_BYTES: Final = 8_192


def snapshot_of(settings: Settings) -> Snapshot:
    """One generation, without a registry."""
    bindings = tuple(map(_binding_of, settings.hooks))
    type_ = settings.type
    schema = {"properties": {"n": {"type": "integer"}}} if type_.wants_number else None
    types = {
        "thing_happened": TypeSettings(
            schema=schema,
            conflict=type_.conflict,
            on_not_converged=type_.on_not_converged,
            max_rounds=type_.max_rounds,
        )
    }
    limits = Limits(
        max_depth=settings.max_depth,
        idempotency=settings.idempotency,
        breaker=BreakerLimits(
            failures=settings.breaker_failures,
            open_ms=settings.breaker_open_ms,
            max_open_ms=settings.breaker_max_open_ms,
        ),
    )
    document = ConfigDocument(bindings=bindings, types=types, limits=limits)
    return Snapshot.of(settings.generation, document)


def _binding_of(hook: Hook) -> Binding:
    options = {
        name: getattr(hook, name)
        for name in Binding.__struct_fields__
        if name not in ("hook", "type", "when") and hasattr(hook, name)
    }
    return msgspec.convert(
        {
            **options,
            "hook": hook.name,
            "type": "thing_happened",
            "when": [check.text for check in hook.when],
            "max_reply_bytes": MAX_REPLY_BYTES,
        },
        Binding,
    )


def encoded(event: Event) -> bytes:
    """The event in structured mode."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "hbtimeoutms": event.timeout_ms,
        "data": event.data,
    }
    if event.dry_run:
        attributes["hbdryrun"] = True
    if event.chain:
        attributes["hbchain"] = ",".join(event.chain)
    return msgspec.json.encode(attributes)


def without_wording(decision: dict[str, Any]) -> dict[str, Any]:
    """Cut what the rules leave to the implementation: how failures are worded."""
    return {
        **decision,
        "reason": _unworded(decision["reason"]),
        "others": [{**o, "reason": _unworded(o["reason"])} for o in decision["others"]],
        "warnings": [_unworded(text) for text in decision["warnings"]],
        "records": [
            {**r, "reason": None if r["failure"] else r["reason"]} for r in decision["records"]
        ],
    }


def _unworded(text: str | None) -> str | None:
    return None if text is None else _WORDING.sub(r"\1", text)
