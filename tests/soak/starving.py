"""When the machine had no time for us: then a timeout is nobody's fault but the machine's."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

PERIOD: Final = 0.05  # seconds between two looks
MOST: Final = 0.025  # seconds that a process may have waited for a core meanwhile


class Starving:
    """Watches how long processes wait for a core, as the kernel counts it, and its own lateness."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._waited: dict[int, int] = {}
        self._began: list[float] = []
        self._ended: list[float] = []
        self.seconds = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(PERIOD)
            now = time.monotonic()
            if self._most_waited() > MOST or now - last > PERIOD + MOST:
                self._began.append(last)
                self._ended.append(now)
                self.seconds += now - last
            last = now

    def in_time(self, began: float, ended: float) -> bool:
        """Tell whether somebody had to wait for long between two moments, or soon before."""
        first = bisect_left(self._ended, began - PERIOD)
        return first < len(self._began) and self._began[first] <= ended + PERIOD

    def _most_waited(self) -> float:
        found = {pid: waited_of(pid) for pid in self._pids()}
        before, self._waited = self._waited, found
        return max((found[pid] - before.get(pid, found[pid]) for pid in found), default=0) / 1e9


def waited_of(pid: int) -> int:
    """Nanoseconds that a process's first thread has waited for a core."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return 0
