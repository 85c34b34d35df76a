"""What is logged of decisions: each at debug, failures at warning, never what is in an event.

A line is a word and its fields. No reason and no text of a plugin is among them, because it may
quote what the event says: the decision's id leads to them, ``hookbus decisions explain ID``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from hookbus.log_line import LogLine
from hookbus.measures import Counters
from hookbus.models import Decision, PluginRecord
from hookbus.seldom import Seldom
from hookbus.subjects import is_name
from hookbus.wire.event import Inbound

_FAILED: Final = ("failed_open", "failed_closed")
_ODD_REPLIES: Final = frozenset(("late_reply", "duplicate_responder", "spoofed_reply"))
_MEANT: Final = (None, "verdict")  # causes of decisions that are as somebody wants them

log = logging.getLogger("hookbus.decisions")


class DecisionLines:
    """An observer that logs. What fails often is written seldom, with the number left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """*clock* is monotonic, in seconds."""
        self._seldom = Seldom(clock)
        self._is_debug = log.isEnabledFor(logging.DEBUG)  # asked once: it costs nothing when off

    def on_decision(
        self, inbound: Inbound, decision: Decision, seconds: float, asked_ms: Sequence[float] = ()
    ) -> None:
        if decision.degraded or decision.cause not in _MEANT:
            self._on_failure(decision)
        if self._is_debug:
            self._on_any(decision, seconds)

    def _on_failure(self, decision: Decision) -> None:
        failed = [record for record in decision.records if record.resolution in _FAILED]
        for record in failed:
            self._warn("plugin_failed", (record.plugin, record.failure), decision, _of(record))
        if not failed:
            key, fields = (None, decision.code), {"cause": decision.cause, "code": decision.code}
            self._warn("event_blocked", key, decision, fields)

    def _warn(self, event: str, key: object, decision: Decision, fields: dict[str, Any]) -> None:
        line = self._seldom.line(key, event, {**fields, **_ids(decision)})
        if line is not None:
            log.warning(line, extra=line.fields)

    def _on_any(self, decision: Decision, seconds: float) -> None:
        fields = {
            "outcome": decision.outcome,
            "cause": decision.cause,
            "code": decision.code,
            "by": decision.by,
            "degraded": decision.degraded or None,
            "generation": decision.generation,
            "ms": round(seconds * 1000, 3),
        }
        said = {name: value for name, value in fields.items() if value is not None}
        line = LogLine("decided", {**said, **_ids(decision)})
        log.debug(line, extra=line.fields)


def _of(record: PluginRecord) -> dict[str, Any]:
    return {
        "plugin": record.plugin,
        "hook": record.hook,
        "failure": record.failure,
        "resolution": record.resolution,
        "ms": record.ms,
    }


def _ids(decision: Decision) -> dict[str, str]:
    """Where to look further: the event's type, the decision, and its trace if it has one."""
    ids = {"type": decision.event.type, "decision_id": decision.id}
    return ids if decision.trace_id is None else {**ids, "trace_id": decision.trace_id}


class ToldCounters(Counters):
    """Counters that say in the log, seldom, when a plugin answers late, twice or as another."""

    __slots__ = ("_seldom",)

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._seldom = Seldom(clock)

    def count(self, name: str, by: int = 1, *, plugin: str = "") -> None:
        super().count(name, by)
        if name not in _ODD_REPLIES:
            return
        who = plugin if is_name(plugin) else ""  # a token of a subject, where any text may stand
        line = self._seldom.line((name, who), "reply_dropped", {"counter": name, "plugin": who})
        if line is not None:
            log.warning(line, extra=line.fields)
