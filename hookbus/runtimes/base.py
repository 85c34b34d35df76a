"""How a dispatcher asks plugins, whatever they run in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from hookbus.snapshot import Binding
from hookbus.wire.call import CallTail
from hookbus.wire.verdict import Answer


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What one call may take.

    Attributes:
        timeout: seconds, shared by retries; 0 means that no budget is left, and no call is made.
        is_shortened: the budget, not the plugin's own timeout, ends the call.
        cap: seconds that an extension may at most reach.
    """

    timeout: float
    is_shortened: bool
    cap: float = 0.0


#: One call to make.
Question: TypeAlias = tuple[Binding, Allowance]


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
