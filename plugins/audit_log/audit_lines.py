"""What the audit log says about one observed event. Pure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hookbus import Decision, HookEvent


def key_of(event: HookEvent[Any]) -> str:
    """Return what a redelivered event has in common with its first delivery."""
    if event.decision is not None:
        return event.decision.id
    return f"{event.principal or ''} {event.source} {event.id}"


def entry(event: HookEvent[Any], now: datetime, *, include_data: bool) -> dict[str, Any]:
    """Return the entry of *event*; its payload is part of it only when *include_data*.

    An event that was only announced (``notify``) has no decision: its outcome is null.
    """
    written: dict[str, Any] = {
        "time": now.isoformat(timespec="milliseconds"),
        "event": {
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "time": event.time,
        },
        "principal": event.principal,
        **_decided(event.decision),
    }
    if include_data:
        written["data"] = event.data
    return written


def _decided(decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"decision": None, "outcome": None}
    return {
        "decision": decision.id,
        "outcome": decision.outcome,
        "by": decision.by,
        "cause": decision.cause,
        "code": decision.code,
        "reason": decision.reason,
        "generation": decision.generation,
        "degraded": decision.degraded,
        "ms": milliseconds(decision),
    }


def milliseconds(decision: Decision) -> dict[str, float]:
    """Return plugin → milliseconds it was waited for, all its hooks and rounds together."""
    total: dict[str, float] = {}
    for record in decision.records:
        total[record.plugin] = round(total.get(record.plugin, 0.0) + record.ms, 3)
    return total


def line(written: dict[str, Any]) -> bytes:
    """Return *written* as one line of JSON; line breaks inside are escaped."""
    return (
        json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )
        + b"\n"
    )


def key_in(text: bytes) -> str | None:
    """Return the key of a written line, None when it is none of ours or was cut."""
    try:
        written = json.loads(text)
        if written["decision"] is not None:
            return str(written["decision"])
        event = written["event"]
        return f"{written['principal'] or ''} {event['source']} {event['id']}"
    except (ValueError, KeyError, TypeError):
        return None
