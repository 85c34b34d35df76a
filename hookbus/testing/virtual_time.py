"""An event loop that jumps to its next timer when nothing is ready."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: under virtual time nothing could happen any more."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on which an hour of waiting takes no time.

    ``loop.time()`` starts at 0 and moves, to the next timer, only when nothing is ready: timeouts
    are exact. While a job runs in an executor, time passes as it really does. Not for sockets:
    an answer from outside would always come too late.

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(asyncio.sleep(3600))  # returns at once

    Raises:
        Deadlock: Out of the run, when nothing could happen any more; names the waiting tasks.
    """

    def __init__(self, clock: JumpingSelector | None = None) -> None:
        self._clock = clock or JumpingSelector(lambda: asyncio.all_tasks(self))
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the seconds of virtual time since the loop was made."""
        return self._clock.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], T], *args: *Arguments
    ) -> asyncio.Future[T]:
        """Run *func* in a thread; until it is done, time passes as it really does."""
        job = super().run_in_executor(executor, func, *args)
        self._clock.outstanding_jobs += 1
        job.add_done_callback(self._on_job_done)
        return job

    def _on_job_done(self, _: asyncio.Future[Any]) -> None:
        self._clock.outstanding_jobs -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        # asyncio waits for the executor's end in a thread of its own
        self._clock.outstanding_jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._clock.outstanding_jobs -= 1


def run_virtual(scenario: Coroutine[Any, Any, T]) -> T:
    """Run *scenario* on a fresh `VirtualTimeLoop`, as `asyncio.run` would.

        async def scenario() -> float:
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()

        assert run_virtual(scenario()) == 3600

    Raises:
        Deadlock: When nothing could happen any more.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario)


class JumpingSelector(selectors.DefaultSelector):
    """A selector that moves its clock instead of sleeping."""

    def __init__(self, tasks: Callable[[], set[asyncio.Task[Any]]]) -> None:
        super().__init__()
        self._tasks = tasks
        self.now = 0.0  # seconds of virtual time
        self.outstanding_jobs = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self.look(0)
        if ready or timeout == 0:
            return ready
        if self.outstanding_jobs:
            return self.pass_time(timeout)
        return self.wait(timeout)

    def wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Do what is to be done while nothing is ready: jump to the next timer."""
        if timeout is None:
            raise Deadlock(f"nothing is ready and no timer is set; waiting: {self._waiting()}")
        self.now += timeout
        return []

    def look(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look what is ready within *timeout* real seconds; the clock stands still."""
        return super().select(timeout)

    def pass_time(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let time pass as it really does."""
        started = time.monotonic()
        ready = self.look(timeout)
        passed = time.monotonic() - started
        self.now += passed if ready or timeout is None else timeout
        return ready

    @property
    def has_sockets(self) -> bool:
        """Anything but the pipe by which other threads wake the loop is registered."""
        return len(self.get_map()) > 1

    def _waiting(self) -> str:
        return ", ".join(
            sorted(
                f"{task.get_name()} in {getattr(task.get_coro(), '__qualname__', '?')}"
                for task in self._tasks()
            )
        )
