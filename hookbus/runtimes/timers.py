"""Many deadlines, one timer of the event loop: most of them are met and need none."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final, Generic, TypeVar

#: Seconds that a timer may come early: uvloop counts whole milliseconds.
EARLY: Final = 0.0005
#: A timer that is so many seconds late says that this process stood still, not that others did …
STALLED: Final = 0.1
#: … and what came in time gets so many seconds to be read from the socket.
CATCH_UP: Final = 0.05

_Item = TypeVar("_Item")


class Timers(Generic[_Item]):
    """Calls *on_due* for each item whose time has come and that was not cancelled before.

    A timer of the loop costs more than a call; here one is set only when an item is due before
    all others that wait.
    """

    def __init__(self, clock: Callable[[], float], on_due: Callable[[_Item], None]) -> None:
        self._clock = clock
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int]] = []
        self._items: dict[int, _Item] = {}  # cancelled ones are gone from here, the heap is lazy
        self._numbers = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")
        self._is_catching_up = False

    def set(self, due: float, item: _Item) -> int:
        """Call for *item* at *due*, a time of the clock; return what cancels it."""
        number = next(self._numbers)
        self._items[number] = item
        heapq.heappush(self._heap, (due, number))
        if due < self._armed_for:
            self._arm(due)
        return number

    def cancel(self, number: int) -> None:
        """Forget an item; one that was called for already is no error."""
        self._items.pop(number, None)

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = due
        self._handle = self._loop.call_later(max(0.0, due - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        now = self._clock() + EARLY
        if now - self._armed_for > STALLED and not self._is_catching_up:
            # a dispatcher that was stopped blames no plugin for it; only once, or a process that
            # is always late would end nothing
            self._is_catching_up = True
            self._arm(now + CATCH_UP)
            return
        self._is_catching_up = False
        self._handle, self._armed_for = None, float("inf")
        heap, items = self._heap, self._items
        while heap and (heap[0][0] <= now or heap[0][1] not in items):
            _, number = heapq.heappop(heap)
            if number in items:
                self._on_due(items.pop(number))
        if heap:
            self._arm(heap[0][0])
