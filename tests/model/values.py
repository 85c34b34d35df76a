"""What goes into the reference model: hooks, their scripts, event types, events. Pure.

Times are whole microseconds. Imports no hookbus.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

MS = 1_000  # microseconds


@dataclass(frozen=True)
class Says:
    """A verdict in full: ``continue``, ``intercept`` or ``block``.

    Attributes:
        change: on intercept, ``patch``, ``merge`` or ``data``, and its value.
    """

    verdict: str = "continue"
    change: tuple[str, Any] | None = None
    reason: str = ""
    code: str | None = None
    message: str | None = None
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fails:
    """No verdict: a failure class that an answer can have, or one of three that come to nothing.

    ``silence`` never answers; ``spoof`` answers in another plugin's name, ``old_attempt`` for the
    attempt before: both are dropped.
    """

    how: str


@dataclass(frozen=True)
class Step:
    """What a plugin does with one call it receives: it answers *after* so long.

    Attributes:
        extend: when it asks for more time and for how many milliseconds, before it answers.
    """

    answer: Says | Fails
    after: int = 0
    extend: tuple[int, int] | None = None


@dataclass(frozen=True)
class Check:
    """One condition: a truth value, ``"error"``, or whether the data's member *name* is *value*."""

    value: Any
    name: str = ""

    @property
    def text(self) -> str:
        """The same in CEL; ``nowhere`` is a member that no data has."""
        if not self.name:
            return "data.nowhere == 1" if self.value == "error" else json.dumps(self.value)
        return f"data.{self.name} == {json.dumps(self.value)}"

    def holds(self, data: Any) -> bool | None:
        """None is an error."""
        if not self.name:
            return None if self.value == "error" else bool(self.value)
        if not isinstance(data, dict) or self.name not in data:
            return None  # a missing field is an error (R14)
        found = data[self.name]
        return isinstance(found, bool) is isinstance(self.value, bool) and found == self.value


@dataclass(frozen=True)
class Hook:
    """One hook as the operator has it, and the script of what its plugin does, call by call.

    The last step of the script is for ever. Without a script nobody is subscribed.
    """

    plugin: str
    name: str
    phase: str
    script: tuple[Step, ...] = (Step(Says()),)
    priority: int = 100
    timeout_ms: int = 200
    min_ms: int = 50
    on_failure: str = "closed"
    mode: str = "enforce"
    reinvoke: str = "never"
    side_effects: str = "none"
    when: tuple[Check, ...] = ()
    writable: tuple[str, ...] = ("",)
    rewrites: tuple[str, ...] = ()
    disallow: str = "error"
    cache_ttl_ms: int = 0
    cache_key: tuple[str, ...] = ()
    retry: int = 0
    max_extension_ms: int = 0
    version: str = "1.0.0"

    @property
    def is_closed(self) -> bool:
        return self.on_failure == "closed"

    @property
    def order(self) -> tuple[int, bytes, bytes]:
        """Lower priority first, ties by plugin name, then hook name, in byte order."""
        return self.priority, self.plugin.encode(), self.name.encode()


@dataclass(frozen=True)
class Type:
    """What the operator says about the one event type.

    Attributes:
        wants_number: its schema is that the data's member ``n``, if there, is an integer.
    """

    conflict: str = "last_wins"
    on_not_converged: str = "block"
    max_rounds: int = 2
    wants_number: bool = False


@dataclass(frozen=True)
class Settings:
    """One generation."""

    hooks: tuple[Hook, ...]
    type: Type = Type()
    generation: int = 7
    max_depth: int = 5
    breaker_failures: int = 5
    breaker_open_ms: int = 1_000
    breaker_max_open_ms: int = 30_000
    idempotency: bool = True


@dataclass(frozen=True)
class Event:
    """One event as it is emitted."""

    id: str
    data: Any
    timeout_ms: int = 1_000
    principal: str = "chat"
    chain: tuple[str, ...] = ()
    dry_run: bool = False
    type: str = "thing_happened"
    source: str = "/model"
