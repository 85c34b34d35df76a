"""What the bus records about the dry runs of one backtest, as it comes.

Both sides are taken from the records, in which secrets are masked: the emitter's own reply quotes
what a shadow record may not, and would differ from it by that alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from hookbus import subjects
from hookbus.cli.backtest.trial import Pair
from hookbus.decision_log.records import decision_of, is_shadow, shadow_of
from hookbus.message import Message
from hookbus.models import Decision, PluginRecord
from hookbus.transport import Transport

ALL: Final = subjects.STREAM_SUBJECTS[subjects.DECISIONS_STREAM]


@dataclass(slots=True)
class Answers:
    """What was recorded about one event: the decision, and shadow records by plugin and hook."""

    decision: Decision | None = None
    shadows: dict[tuple[str, str], PluginRecord] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def incumbent(self, pair: Pair) -> PluginRecord | None:
        """What the incumbent said the first time; later rounds have another input (R11)."""
        records = self.decision.records if self.decision else ()
        binding = pair.incumbent
        mine = (r for r in records if (r.plugin, r.hook) == (binding.plugin, binding.hook))
        return next(mine, None)

    def candidate(self, pair: Pair) -> PluginRecord | None:
        return self.shadows.get((pair.candidate.plugin, pair.candidate.hook))

    def has_all(self, pairs: tuple[Pair, ...]) -> bool:
        """Tell whether nothing more is to come: where the incumbent was, the candidate was."""
        return self.decision is not None and all(
            self.incumbent(pair) is None or self.candidate(pair) is not None for pair in pairs
        )


class Hearing:
    """Listens to all that is recorded, and picks out what is about our events."""

    def __init__(self, token: str) -> None:
        """*token* begins the id of each of them, and of no other event."""
        self._needle = token.encode()
        self._expected: dict[str, Answers] = {}

    async def start(self, transport: Transport) -> None:
        await transport.subscribe(ALL, self._on_message)
        await transport.flush()

    def expect(self, event_id: str) -> Answers:
        answers = self._expected[event_id] = Answers()
        return answers

    async def wait(self, event_id: str, pairs: tuple[Pair, ...], timeout: float) -> Answers:
        """Return what there is once it is all, or the time (seconds) is over."""
        answers = self._expected[event_id]
        try:
            async with asyncio.timeout(timeout):
                while not answers.has_all(pairs):
                    answers.news.clear()
                    await answers.news.wait()
        except TimeoutError:
            pass
        return answers

    def forget(self, event_id: str) -> None:
        self._expected.pop(event_id, None)

    def _on_message(self, message: Message) -> None:
        if self._needle not in message.data:  # nearly everything on a busy bus
            return
        if is_shadow(message.subject):
            shadow = shadow_of(message.data)
            if shadow is not None and (answers := self._expected.get(shadow.event.id)):
                answers.shadows[shadow.record.plugin, shadow.record.hook] = shadow.record
                answers.news.set()
            return
        decision = decision_of(message.subject, message.data)
        if decision is not None and (answers := self._expected.get(decision.event.id)):
            answers.decision = decision
            answers.news.set()
