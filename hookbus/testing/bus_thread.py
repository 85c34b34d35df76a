"""An event loop on a thread of its own, which code without a loop, or on another one, can ask."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from hookbus.testing.virtual_time import JumpingSelector, VirtualTimeLoop

PATIENCE: Final = 30.0  # seconds until a thread that does not answer is given up

_Result = TypeVar("_Result")


class AskedLoop(VirtualTimeLoop):
    """Virtual time that moves only while somebody waits for a result.

    A bus that nobody asks has timers all the same: their time must not run away. While a handler
    has a socket open, time passes as it really does, because an answer from outside takes some.
    """

    def __init__(self) -> None:
        self.asking = _AskedSelector(lambda: asyncio.all_tasks(self))
        super().__init__(self.asking)


class BusThread:
    """Runs an event loop until :meth:`stop`."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop = make_loop()
        self.is_stopped = False
        self._thread = threading.Thread(target=self._run, name="hookbus-testing", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Begin *work* on the loop.

        Raises:
            RuntimeError: It was stopped.
        """
        if self.is_stopped:
            work.close()
            raise RuntimeError("the test's bus is closed: it lives as long as its test")
        return asyncio.run_coroutine_threadsafe(self._asked(work), self._loop)

    def run(self, work: Coroutine[Any, Any, _Result], patience: float = PATIENCE) -> _Result:
        """Return what *work* comes to.

        Raises:
            TimeoutError: Not within *patience* real seconds.
        """
        begun = self.submit(work)
        try:
            return begun.result(patience)
        except TimeoutError:
            if begun.done():
                raise
            begun.cancel()
            raise TimeoutError(
                f"the test's bus did not answer within {patience:g} s: does a handler block its "
                "event loop? Await what it waits for, or declare it with a plain def"
            ) from None

    def stop(self) -> None:
        """End the loop and its thread; what still runs is cancelled."""
        self.is_stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    async def _asked(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if not isinstance(self._loop, AskedLoop):
            return await work
        self._loop.asking.waiting += 1
        try:
            return await work
        finally:
            self._loop.asking.waiting -= 1

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            if isinstance(self._loop, AskedLoop):
                self._loop.asking.waiting += 1  # time goes on to the end
            running = asyncio.all_tasks(self._loop)
            for task in running:
                task.cancel()
            if running:
                self._loop.run_until_complete(asyncio.wait(running, timeout=1.0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


class _AskedSelector(JumpingSelector):
    def __init__(self, tasks: Callable[[], set[asyncio.Task[Any]]]) -> None:
        super().__init__(tasks)
        self.waiting = 0

    def wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.waiting:
            return self.look(None)  # until another thread asks for something
        if timeout is None or self.has_sockets:
            return self.pass_time(timeout)
        return super().wait(timeout)
