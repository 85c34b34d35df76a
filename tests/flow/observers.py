"""An observer that fails when it is told to, and what the broker says when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hookbus import HookEvent, Plugin, subjects


def failing(seen: list[HookEvent[Any]], error: Callable[[], Exception | None]) -> Plugin:
    """An observer called "o" that notes what it gets, and raises while there is an *error*."""
    plugin = Plugin("o", version="1.0.0")

    @plugin.hook("message_received", phase="observe", name="watch")
    async def watch(event: HookEvent[Any]) -> None:
        seen.append(event)
        if raised := error():
            raise raised

    return plugin


def advisory(hook: str, reason: str | None) -> bytes:
    """What JetStream says of an event that no stream has."""
    consumer = subjects.consumer("mute", hook)
    about = {"stream": subjects.OBSERVE_STREAM, "consumer": consumer, "stream_seq": 999}
    return msgspec.json.encode({**about, "deliveries": 5, "reason": reason})
