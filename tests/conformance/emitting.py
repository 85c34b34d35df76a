"""What ``emit = { … }`` says: the event, who emits it, and how."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.emitter import Emitter
from hookbus.message import Requests
from hookbus.models import Decision
from tests.conformance.notation import expand
from tests.conformance.table import TYPE

DATA: Final = {"a": 1}  # of an event that says nothing else
TIMEOUT_MS: Final = 5_000  # likewise
#: What an emit is told beside CloudEvents attributes.
_OWN: Final = frozenset(
    (
        "data",
        "json",
        "type",
        "by",
        "dry_run",
        "timeout",
        "within",
        "chain",
        "times",
        "together",
        "on_unavailable",
        "notify",
    )
)


def data_of(given: dict[str, Any]) -> Any:
    """The data of the event."""
    if "json" in given:
        return msgspec.json.decode(expand(given["json"]))
    return given.get("data", DATA)


async def send(
    transport: Requests, data: Any, given: dict[str, Any], scale: float
) -> Decision | None:
    """Emit one event, or only notify of it: then there is no decision."""
    within = given["within"] * scale / 1000 if "within" in given else None
    emitter = Emitter(
        transport,
        source="/test",
        principal=given.get("by", subjects.ANONYMOUS),
        on_unavailable=given.get("on_unavailable", "raise"),
        timeout=within,
    )
    attributes = {key: value for key, value in given.items() if key not in _OWN}
    if "chain" in given:
        attributes["hbchain"] = given["chain"]
    if within is None and given.get("timeout") != "none":
        wanted = max(10, round(given.get("timeout", TIMEOUT_MS) * scale))
        attributes.setdefault("hbtimeoutms", wanted)
    event_type, is_dry = given.get("type", TYPE), given.get("dry_run", False)
    if given.get("notify"):
        dry = {"hbdryrun": True} if is_dry else {}
        await emitter.notify(event_type, data, **attributes, **dry)
        return None
    return await emitter.emit(event_type, data, dry_run=is_dry, **attributes)
