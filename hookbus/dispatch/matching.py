"""Whether a hook is asked about this event: its own emits and its conditions (R14, R23). Pure."""

from __future__ import annotations

from typing import Any

from hookbus.conditions import Scope
from hookbus.snapshot import Binding
from hookbus.wire.event import Inbound
from hookbus.wire.verdict import Answer, failure

Note = dict[str, Any]


def scope_of(inbound: Inbound, data: Any) -> Scope:
    """What conditions see: the attributes that the event has, and the data as it stands."""
    event = inbound.event
    attributes: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "principal": inbound.principal,
        "dry_run": inbound.dry_run,
    }
    if event.subject is not None:
        attributes["subject"] = event.subject
    if event.time is not None:
        attributes["time"] = event.time
    return Scope(attributes, data)


def match(binding: Binding, inbound: Inbound, scope: Scope) -> Answer | Note | None:
    """Return None for a hook that is to be asked, a note why it is skipped, or a failure.

    Any condition that is FALSE skips the hook, even if others are errors; else any error is
    ``match_error``.
    """
    if inbound.principal == binding.plugin:
        return {"kind": "self"}
    error = None
    for index, condition in enumerate(binding.conditions):
        holds = condition.holds(scope)
        if holds is False:
            return {"kind": "condition_false", "index": index, "condition": condition.source}
        if holds is not True and error is None:
            error = failure("match_error", f"condition {condition.source!r}: {holds}")
    return error
