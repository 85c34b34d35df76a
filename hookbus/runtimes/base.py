"""How a dispatcher asks plugins, whatever they run in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hookbus.snapshot import Binding
from hookbus.wire.call import CallTail
from hookbus.wire.verdict import Answer


class Question(msgspec.Struct, frozen=True):
    """One call to make. *timeout* in seconds, above 0; *timeout_ms* is what the plugin is told."""

    binding: Binding
    timeout: float
    timeout_ms: int
    round: int = 1


class Reply(msgspec.Struct, frozen=True):
    """What came of one question; *ms* from the call to the answer, in milliseconds."""

    answer: Answer
    ms: float
    attempt: int = 1


class Runtime(Protocol):
    """Asks plugins."""

    async def ask(self, questions: Sequence[Question], tail: CallTail) -> list[Reply]:
        """Ask all at once and return the replies in the order of the questions.

        Returns when the last has answered, failed or run out of time; never raises for a plugin.
        """
