"""How what a plugin in shadow says agrees with what is decided: live events, lately.

Shadow records and decisions are messages of the same stream; they are joined by the decision's id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from hookbus.cli.backtest.compare import KINDS, compare, effect
from hookbus.decision_log.reader import Stored, StreamReader
from hookbus.decision_log.records import ShadowRecord, decision_of, is_shadow, shadow_of
from hookbus.models import Decision, PluginRecord
from hookbus.wire.limits import NOT_JSON

MAX_MESSAGES: Final = 5_000  # the newest of the stream, that are looked at …
LONGEST_AGO: Final = timedelta(hours=1)  # … unless they are older


class Agreement(msgspec.Struct, kw_only=True):
    """What a plugin's shadow records came to beside the decisions about the same events.

    Attributes:
        records: shadow records of live events whose decision was found.
        would_block: the event passed, and it would have blocked it.
        would_change: the event passed, and it would have changed it.
        failed: it failed, which would have blocked or not, as on_failure says.
        incumbent: the plugin that it is a candidate of.
        kinds: how its records compare with those of the incumbent: see `plugins backtest`.
    """

    records: int = 0
    would_block: int = 0
    would_change: int = 0
    failed: int = 0
    incumbent: str | None = None
    kinds: dict[str, int] = {}

    @property
    def unchanged(self) -> int:
        """How often the outcome would have been the same."""
        return self.records - self.would_block - self.would_change - self.failed


class _Id(msgspec.Struct):
    id: str


_id_of = msgspec.json.Decoder(_Id).decode


async def agreement_of(reader: StreamReader, plugin: str, incumbent: str | None) -> Agreement:
    """Look at the newest messages of the stream of decisions.

    Raises:
        TransportError: The stream cannot be read.
    """
    extent = await reader.extent()
    earliest = ((extent.now or datetime.now(UTC)) - LONGEST_AGO).timestamp() * 1e9
    shadows: list[ShadowRecord] = []
    others: list[Stored] = []
    needle = msgspec.json.encode(plugin)

    def take(stored: Stored) -> bool:
        if stored.stored_ns < earliest:
            return False
        if not is_shadow(stored.subject):
            others.append(stored)
        elif needle in stored.data:
            shadow = shadow_of(stored.data)
            if shadow is not None and shadow.record.plugin == plugin:
                shadows.append(shadow)
        return False

    if extent.messages:
        first = max(extent.first, extent.last - MAX_MESSAGES + 1)
        await reader.read(first, take, until=extent.last)
    wanted = {shadow.decision for shadow in shadows}
    decisions = {made.id: made for made in _decisions(others, wanted) if not made.dry_run}
    found = [(decisions[s.decision], s.record) for s in shadows if s.decision in decisions]
    return count(found, incumbent)


def count(found: Iterable[tuple[Decision, PluginRecord]], incumbent: str | None) -> Agreement:
    """Add up what a plugin in shadow said beside each decision."""
    total, kinds = Agreement(incumbent=incumbent), Counter[str]()
    for decision, record in found:
        total.records += 1
        if record.failure is not None:
            total.failed += 1
        elif decision.outcome != "block":
            total.would_block += effect(record) == "block"
            total.would_change += effect(record) == "intercept"
        beside = _incumbents(decision, record, incumbent)
        kind = compare(beside, record).kind if beside is not None else None
        kinds[kind or "not_asked"] += incumbent is not None
    total.kinds = {kind: kinds[kind] for kind in (*KINDS, "not_asked") if kinds[kind]}
    return total


def _incumbents(
    decision: Decision, record: PluginRecord, incumbent: str | None
) -> PluginRecord | None:
    """Find what the incumbent said, in its hook of the same name or else in any of the phase."""
    found = [r for r in decision.records if (r.plugin, r.phase) == (incumbent, record.phase)]
    return min(found, key=lambda r: r.hook != record.hook, default=None)


def _decisions(messages: Iterable[Stored], wanted: set[str]) -> Iterator[Decision]:
    """Decode those of *wanted*; most of thousands are of no interest."""
    for stored in messages:
        try:
            is_wanted = _id_of(stored.data).id in wanted
        except NOT_JSON:
            continue
        if is_wanted and (decision := decision_of(stored.subject, stored.data)) is not None:
            yield decision
