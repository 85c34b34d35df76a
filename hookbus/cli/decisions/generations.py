"""The history of the configuration, as the registry tells it, around one decision. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One setting or binding that changed; None is what is not there."""

    key: str
    before: Any = None
    after: Any = None


class Generation(msgspec.Struct, frozen=True):
    """One version of the configuration: who made it, when, by which command."""

    generation: int
    at: str = ""
    by: str = ""
    what: str = ""
    changes: tuple[Change, ...] = ()

    def touches(self, names: Collection[str]) -> bool:
        """Tell whether it changed anything of *names*: ``plugins.guard``, ``types.tool_invoked``"""
        return any(_is_of(change.key, name) for change in self.changes for name in names)


def _is_of(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")


@dataclass(frozen=True, slots=True)
class Generations:
    """What is known of them, newest first; *problem* says why it is nothing."""

    history: tuple[Generation, ...] = ()
    problem: str | None = None

    @property
    def current(self) -> int | None:
        return self.history[0].generation if self.history else None

    def of(self, number: int) -> Generation | None:
        """Return the one with that number, if it is still known."""
        return next((made for made in self.history if made.generation == number), None)

    def since(self, number: int) -> tuple[Generation, ...]:
        """Return what was made after that one, newest first."""
        return tuple(made for made in self.history if made.generation > number)

    def last_touching(self, names: Collection[str], until: int) -> Generation | None:
        """Return the newest, up to the generation *until*, that changed anything of *names*."""
        return next(
            (m for m in self.history if m.generation <= until and m.touches(names)),
            None,
        )

    def before(self, made: Generation) -> int | None:
        """Return the generation that was in force before that one, if it is still known."""
        older = [m.generation for m in self.history if m.generation < made.generation]
        return max(older, default=None)

    def to_json(self, number: int) -> dict[str, Any]:
        """What stands around the generation that a decision used."""
        return {
            "used": number,
            "made": self.of(number),
            "current": self.current,
            "since": None if self.problem else self.since(number),
            "problem": self.problem,
        }


def generations_from(answer: dict[str, Any]) -> Generations:
    """Read the registry's answer to ``history``; another version's may have another shape."""
    try:
        found = msgspec.convert(answer.get("history"), tuple[Generation, ...])
    except msgspec.ValidationError as e:
        return Generations(problem=f"the registry's history cannot be read: {e}")
    return Generations(tuple(sorted(found, key=lambda made: -made.generation)))
