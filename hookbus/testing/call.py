"""Calling a plugin's handler in a test, over the same bytes as on a bus, without one."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookbus import patches
from hookbus.errors import BadPatch, HookbusError
from hookbus.json_values import plain
from hookbus.models import Block, Continue, FailureClass, Intercept, Verdict
from hookbus.plugin import Hook, Plugin
from hookbus.plugin.handle import HandlerFailed, Handling
from hookbus.subjects import has_wildcard, type_matches
from hookbus.wire.call import (
    CallTail,
    call_target,
    decode_call,
    decode_observed,
    encode_call,
    encode_observed,
)
from hookbus.wire.verdict import Answer, Expected, failure, verify_reply

MAX_PATCH_OPERATIONS: Final = 256  # the bus's own default
MAX_PAYLOAD_BYTES: Final = 512 * 1024


class PluginFailed(HookbusError):
    """The plugin gave no usable verdict; on a bus its hook's ``on_failure`` would decide.

    Attributes:
        failure: the failure class: ``service_error``, ``timeout``, ``bad_patch``, …
        reason: what the bus would record.
    """

    def __init__(self, plugin: str, failure: FailureClass, reason: str) -> None:
        super().__init__(f"plugin {plugin!r}: {failure}: {reason}")
        self.failure: FailureClass = failure
        self.reason = reason


async def call_plugin(
    plugin: Plugin,
    hook_or_type: str,
    data: Any,
    *,
    config: Mapping[str, Any] | None = None,
    **event_attributes: Any,
) -> Verdict:
    """Ask one hook about an event, exactly as the bus would, and return its verdict.

        from plugin import plugin
        from hookbus import Block
        from hookbus.testing import call_plugin, run_virtual

        def test_shouting_is_blocked() -> None:
            verdict = run_virtual(call_plugin(plugin, "message_received", {"text": "HELLO"}))

            assert isinstance(verdict, Block)

    The event and the verdict travel as bytes: what JSON cannot say, the handler does not see.
    Under :func:`run_virtual` a handler that sleeps beyond its timeout fails at once.

    Args:
        hook_or_type: a hook's name, or an event type that one hook asks for.
        data: JSON values or a payload model.
        config: becomes ``plugin.config``; None leaves it as it is.
        event_attributes: further CloudEvents attributes: ``id``, ``source``, ``hbdryrun``, …;
            ``type`` for a hook that was named and asks for a pattern.

    Raises:
        PluginFailed: It raised, returned nonsense, took too long, or its change cannot be applied.
        LookupError: No hook, or more than one, is meant.
    """
    hook = _find(plugin, hook_or_type)
    if config is not None:
        plugin.configure(config)
    event_type = hook.options.type if hook_or_type in plugin.hooks else hook_or_type
    attributes = {
        "specversion": "1.0",
        "id": "test",
        "source": "/test",
        "type": event_type,
        **event_attributes,
        "data": plain(data),
    }
    if has_wildcard(attributes["type"]):
        raise LookupError(
            f"hook {hook_or_type!r} asks for {event_type!r}: say which type with type="
        )
    event = msgspec.json.encode(attributes)
    if hook.options.phase == "observe":
        return await _show(plugin, hook, event)
    answer = await _ask(plugin, hook, event)
    if answer.failure is not None:
        raise PluginFailed(plugin.name, answer.failure, answer.reason or "")
    return _verdict(plugin, hook, answer, msgspec.json.decode(event)["data"])


def _find(plugin: Plugin, hook_or_type: str) -> Hook:
    """Find a hook by its name, else by the type that it asks for."""
    if hook_or_type in plugin.hooks:
        return plugin.hooks[hook_or_type]
    found = {
        name: hook
        for name, hook in plugin.hooks.items()
        if type_matches(hook.options.type, hook_or_type)
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise LookupError(
            f"plugin {plugin.name!r} has several hooks on {hook_or_type!r}: name one of "
            f"{', '.join(found)}"
        )
    known = ", ".join(plugin.hooks) or "none"
    raise LookupError(
        f"plugin {plugin.name!r} has no hook on or named {hook_or_type!r}; its hooks are: {known}"
    )


async def _ask(plugin: Plugin, hook: Hook, event: bytes) -> Answer:
    options = hook.options
    call_id = base64.urlsafe_b64encode(os.urandom(16))[:22].decode()
    target = call_target(plugin.name, options.name, options.phase)
    tail = CallTail(1, 1, b"", event)
    call = decode_call(encode_call(call_id, 1, target, options.timeout_ms, tail))
    handling = Handling(plugin)
    try:
        reply = await handling.answer(hook, call, options.timeout_ms / 1000)
    finally:
        handling.slots.executor.shutdown(wait=False)
    if reply is None:
        return failure("timeout", f"no answer within {options.timeout_ms} ms")
    expected = Expected(plugin.name, call_id, 1, options.max_reply_bytes)
    answer = verify_reply(reply, None, expected)
    if not isinstance(answer, Answer):
        return failure("malformed", f"the bus would drop the reply: {answer!r}")
    return answer


async def _show(plugin: Plugin, hook: Hook, event: bytes) -> Verdict:
    """An observer has no verdict: that it does not want the event again is its Continue."""
    observed = decode_observed(encode_observed("test", event, b"null"))
    handling = Handling(plugin)
    try:
        await handling.observe(hook, observed)
    except HandlerFailed as e:
        raise PluginFailed(plugin.name, "service_error", str(e)) from e
    finally:
        handling.slots.executor.shutdown(wait=False)
    return Continue()


def _verdict(plugin: Plugin, hook: Hook, answer: Answer, data: Any) -> Verdict:
    details: dict[str, Any] = {"warnings": answer.warnings, "annotations": answer.annotations}
    if answer.verdict == "block":
        return Block(answer.reason or "", answer.code, answer.message, **details)
    if answer.change is None:
        return Continue(**details)
    if hook.options.phase != "mutate":
        raise PluginFailed(plugin.name, "phase_violation", "a validate hook may not intercept")
    kind, value = answer.change
    if kind == "patch":
        try:
            operations = patches.decode(value, max_ops=MAX_PATCH_OPERATIONS)
            patches.apply(data, operations, max_bytes=MAX_PAYLOAD_BYTES)
        except BadPatch as e:
            raise PluginFailed(plugin.name, "bad_patch", str(e)) from e
    return Intercept(**{kind: value}, **details)
