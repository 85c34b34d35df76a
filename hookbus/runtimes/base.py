"""How a dispatcher asks plugins, whatever they run in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from hookbus.snapshot import Binding
from hookbus.wire.call import CallTail
from hookbus.wire.verdict import Answer


class Question(msgspec.Struct, frozen=True, gc=False):
    """One call to make.

    Attributes:
        timeout: seconds, above 0; retries share it.
        timeout_ms: what the plugin is told.
        cap: seconds that an extension may at most reach.
    """

    binding: Binding
    timeout: float
    timeout_ms: int
    round: int
    cap: float


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What came of one question.

    Attributes:
        ms: milliseconds from the call to the answer.
        is_capped: an extension was cut at the stage's cap.
    """

    answer: Answer
    ms: float
    attempt: int = 1
    notes: tuple[dict[str, Any], ...] = ()
    is_capped: bool = False


class Runtime(Protocol):
    """Asks plugins."""

    async def ask(self, questions: Sequence[Question], tail: CallTail) -> list[Reply]:
        """Ask all at once and return the replies in the order of the questions.

        Returns when the last has answered, failed or run out of time; never raises for a plugin.
        """
