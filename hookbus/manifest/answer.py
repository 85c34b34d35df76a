"""What the registry answers to an announcement. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hookbus.errors import Problem
from hookbus.wire.redelivery import Redelivery

MAX_PROBLEMS: Final = 100  # that one answer names


def refusal_answer(problems: tuple[Problem, ...]) -> bytes:
    """Encode a refusal; of very many problems not all are named."""
    more = len(problems) - MAX_PROBLEMS
    if more > 0:  # the answer must fit into a message
        problems = (*problems[:MAX_PROBLEMS], Problem("", f"and {more} more"))
    return announce_answer("refused", 0, {}, problems)


def announce_answer(
    state: str,
    generation: int,
    config: dict[str, Any],
    problems: tuple[Problem, ...],
    observers: Redelivery | None = None,
) -> bytes:
    """Encode what an announcement or a goodbye came to; *observers* is left out if None."""
    return msgspec.json.encode(
        {
            "v": 1,
            "state": state,
            "generation": generation,
            "config": config,
            **({"observers": observers} if observers else {}),
            "problems": [{"at": p.at, "message": p.message} for p in problems],
        }
    )
