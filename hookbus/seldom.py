"""Lines that would be written a thousand times a second: the first at once, then few. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from hookbus.log_line import LogLine

EVERY: Final = 10.0  # seconds between two lines about the same thing
MAX_KEYS: Final = 1_000  # things that are told apart; all further ones are one


class Seldom:
    """Says which lines to write: one a thing at once, then one each ten seconds."""

    __slots__ = ("_clock", "_keys")

    def __init__(self, clock: Callable[[], float]) -> None:
        """*clock* is monotonic, in seconds."""
        self._clock = clock
        self._keys: dict[Hashable, tuple[float, int]] = {}  # when it was written, left out since

    def left_out(self, key: Hashable) -> int | None:
        """Return how many lines were left out before this one; None: leave it out as well."""
        if key not in self._keys and len(self._keys) >= MAX_KEYS:
            key = None
        now = self._clock()
        written, count = self._keys.get(key, (now - EVERY, 0))
        if now - written < EVERY:
            self._keys[key] = (written, count + 1)
            return None
        self._keys[key] = (now, 0)
        return count

    def line(self, key: Hashable, word: str, fields: Mapping[str, Any]) -> LogLine | None:
        """Return the line to write, with the number of those ``left_out`` since the last."""
        left_out = self.left_out(key)
        if left_out is None:
            return None
        return LogLine(word, {**fields, "left_out": left_out} if left_out else fields)
