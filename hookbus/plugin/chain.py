"""Which event is being handled, for the events that its handler emits (R23)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from hookbus.models import HookEvent

#: The event that the current handler answers; None outside of handlers.
handled: ContextVar[HookEvent[Any] | None] = ContextVar("hookbus_handled", default=None)


def chain_of(plugin: str) -> dict[str, Any]:
    """The ``hbchain`` of what *plugin* emits now: the handled event's chain and itself."""
    event = handled.get()
    return {} if event is None else {"hbchain": ",".join((*event.chain, plugin))}
