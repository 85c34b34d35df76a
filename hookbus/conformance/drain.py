"""The check of a plugin's end: it says goodbye, answers what it was asked, and is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.caller import SETTLE, Caller, Exchange
from hookbus.conformance.report import Finding, Seen, failed, passed, skipped
from hookbus.conformance.target import Hook
from hookbus.message import Message
from hookbus.wire.limits import NOT_JSON

DRAIN_TIMEOUT: Final = 15.0  # seconds; the goodbye may take 2, and the SDK's drain 10
INTERVAL: Final = 0.01  # seconds between two calls while it stops

_GOODBYE: Final = "A plugin that stops says goodbye to the registry, with its 'instance'."
_ANSWERED: Final = "Until the goodbye is answered it answers calls, and then it drains."
_GONE: Final = "Once it has drained, calls get 'no responders' at once."


async def check_drain(
    caller: Caller, hook: Hook, stop: Callable[[], None], *, hears: bool = True
) -> list[Finding]:
    """Keep calling while *stop* ends the plugin's only replica; *hears* its goodbye, if allowed."""
    said: list[dict[str, Any]] = []
    async with AsyncExitStack() as listening:
        if hears:
            announcements = await caller.transport.subscribe(
                subjects.announce(hook.plugin), lambda message: said.extend(_goodbyes(message))
            )
            listening.push_async_callback(announcements.drain)
            await caller.transport.flush()
        calls = await _call_while_it_stops(caller, hook, stop)
    goodbye = _said_goodbye(said) if hears else skipped("a dispatcher's credentials hear none")
    seen = (
        ("drain-goodbye", goodbye, _GOODBYE),
        ("drain-answers", _answered(calls), _ANSWERED),
        ("drain-gone", _gone(calls), _GONE),
    )
    return [Finding(point, hook.name, s.status, s.text, rule) for point, s, rule in seen]


async def _call_while_it_stops(
    caller: Caller, hook: Hook, stop: Callable[[], None]
) -> list[Exchange]:
    calls = [await caller.call(hook)]
    stop()
    await _call_until_absent(caller, hook, calls)
    await asyncio.sleep(SETTLE)
    return calls


async def _call_until_absent(caller: Caller, hook: Hook, calls: list[Exchange]) -> None:
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            while not calls[-1].is_absent:
                calls.append(await caller.call(hook))
                await asyncio.sleep(INTERVAL)
    except TimeoutError:
        return


def _goodbyes(message: Message) -> list[dict[str, Any]]:
    try:
        body = msgspec.json.decode(message.data)
    except NOT_JSON:
        return []
    return [body] if isinstance(body, dict) and body.get("goodbye") is True else []


def _said_goodbye(said: list[dict[str, Any]]) -> Seen:
    if not said:
        return failed("no goodbye was heard")
    if not isinstance(said[0].get("instance"), str):
        return failed("its goodbye names no instance")
    return passed(f"instance {said[0]['instance']!r} said goodbye")


def _answered(calls: list[Exchange]) -> Seen:
    lost = [call for call in calls if not call.is_absent and call.answer is None]
    if lost:
        return failed(f"{len(lost)} of {len(calls)} calls while it stopped were not answered")
    return passed(f"{sum(not call.is_absent for call in calls)} calls while it stopped, none lost")


def _gone(calls: list[Exchange]) -> Seen:
    if not calls[-1].is_absent:
        return failed(f"it still takes calls after {DRAIN_TIMEOUT:g} s")
    return passed("then nothing was subscribed any more")
