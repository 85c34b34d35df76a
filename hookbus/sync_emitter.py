"""SyncEmitter: emitting from code without an event loop, such as Django, Flask or Celery."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar

from hookbus import subjects
from hookbus.attributes import check_timeout
from hookbus.emitter import DEFAULT_TIMEOUT, LONGEST_WAIT, Emitter, OnUnavailable
from hookbus.errors import ConnectFailed, Unavailable
from hookbus.models import Decision

GRACE: Final = 5.0  # seconds beyond an emit's own timeout until its thread is given up
CONNECT_TIMEOUT: Final = 2.0  # seconds

_Result = TypeVar("_Result")
Work: TypeAlias = Coroutine[Any, Any, _Result]


class Emits(Protocol):
    """What carries out what a SyncEmitter is asked for, on an event loop."""

    async def emit(
        self, type: str, data: Any, *, timeout: float | None = None, **kwargs: Any
    ) -> Decision: ...

    async def notify(
        self, type: str, data: Any, *, timeout: float | None = None, **kwargs: Any
    ) -> None: ...


class SyncEmitter:
    """The same as Emitter without ``await``; safe from many threads and after a fork.

    Its connection lives on a thread of its own, made at the first emit. A forked child (a prefork
    worker) makes a new one, so it may be created at import time.

    >>> bus = SyncEmitter("nats://127.0.0.1:4222", source="/shop")
    >>> bus.emit("message_received", {"text": "hi"}).raise_for_block()
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        source: str,
        principal: str = subjects.ANONYMOUS,
        on_unavailable: OnUnavailable = "raise",
        timeout: float | None = DEFAULT_TIMEOUT,
        **connection: Any,
    ) -> None:
        """Take what :meth:`Emitter.connect` takes; nothing is connected yet.

        *url*, *source*, *principal*, *on_unavailable* and *timeout* (seconds) are the same there,
        *connection*, too.
        """
        self._options: dict[str, Any] = {
            "source": source,
            "principal": principal,
            "on_unavailable": on_unavailable,
            "timeout": timeout,
            "connect_timeout": CONNECT_TIMEOUT,
            **connection,
        }
        self._url = url
        self._timeout = timeout
        Emitter.connect(url, **self._options)  # what is wrong with the options is said here and now
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        _made.add(self)

    @classmethod
    def connect(cls, url: str | None = None, *, source: str, **options: Any) -> Self:
        """Make one of *url*, *source* and *options* as :meth:`Emitter.connect` does, for ``with``.

        >>> with SyncEmitter.connect("nats://127.0.0.1:4222", source="/shop") as bus:
        ...     bus.emit("message_received", {"text": "hi"}).raise_for_block()
        """
        return cls(url, source=source, **options)

    def emit(
        self, type: str, data: Any, *, timeout: float | None = None, **kwargs: Any
    ) -> Decision:
        """Fire an event and return the decision; see :meth:`Emitter.emit`."""
        return self._call(
            lambda thread: thread.emit(type, data, timeout=timeout, **kwargs), self._wait(timeout)
        )

    def notify(self, type: str, data: Any, *, timeout: float | None = None, **kwargs: Any) -> None:
        """Tell the observers; see :meth:`Emitter.notify`."""
        self._call(
            lambda thread: thread.notify(type, data, timeout=timeout, **kwargs), self._wait(timeout)
        )

    def close(self) -> None:
        """Close the connection and end its thread. A later emit opens it again.

        An emit of another thread that waits for its decision ends as without one, at once.
        """
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _call(self, work: Callable[[Emits], Work[_Result]], seconds: float) -> _Result:
        with self._lock:  # with the lock, so that nothing begins on a thread that is ending
            if self._thread is None:
                self._thread = _LoopThread(self._url, self._options)
            running = self._thread.begin(work(self._thread))
        return _finished(running, seconds)

    def _wait(self, timeout: float | None) -> float:
        check_timeout(timeout)
        timeout = self._timeout if timeout is None else timeout
        own = LONGEST_WAIT if timeout is None else timeout
        return own + float(self._options["connect_timeout"]) + GRACE

    def _forget(self) -> None:
        """Leave the parent's connection, thread and lock to the parent."""
        self._lock = threading.Lock()
        self._thread = None


_made: weakref.WeakSet[SyncEmitter] = weakref.WeakSet()


def _after_fork() -> None:
    for emitter in list(_made):
        emitter._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _LoopThread:
    """A thread with an event loop and one emitter on it, connected at its first use."""

    def __init__(self, url: str | None, options: dict[str, Any]) -> None:
        self._emitter = Emitter.connect(url, **options)
        self._loop = asyncio.new_event_loop()
        self._begun: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="hookbus-emitter", daemon=True)
        self._thread.start()

    async def emit(self, type: str, data: Any, **kwargs: Any) -> Decision:
        await self._open()
        return await self._emitter.emit(type, data, **kwargs)

    async def notify(self, type: str, data: Any, **kwargs: Any) -> None:
        await self._open()
        await self._emitter.notify(type, data, **kwargs)

    def begin(self, work: Work[_Result]) -> Future[_Result]:
        begun = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)
        return begun

    def stop(self) -> None:
        begun = set(self._begun)
        _finished(self.begin(self._emitter.hang_up()), GRACE)
        wait(begun, GRACE)  # whoever waited for a decision hears of it before the loop ends
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE)

    async def _open(self) -> None:
        """Connect, unless that is done; an emit that finds no connection says so itself."""
        with contextlib.suppress(ConnectFailed):
            await self._emitter.open()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()


def _finished(running: Future[_Result], seconds: float) -> _Result:
    """Return what *running* comes to within *seconds*."""
    try:
        return running.result(seconds)
    except TimeoutError as e:
        running.cancel()
        raise Unavailable("timeout: the emitter's thread does not answer", code="timeout") from e
