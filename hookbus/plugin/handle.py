"""One call or one observed message: bytes in, the handler's answer out."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, Final, cast

import msgspec
from pydantic import ValidationError

from hookbus import json_values
from hookbus.errors import PermanentError
from hookbus.loop import clock_of
from hookbus.models import Block, Continue, HookEvent, Intercept
from hookbus.plugin.chain import handled
from hookbus.plugin.declare import Hook, Plugin
from hookbus.plugin.handler_lines import HandlerLines
from hookbus.wire.call import Call, Observed
from hookbus.wire.verdict import Reply

MAX_ASYNC_CALLS: Final = 64
MAX_THREADS: Final = 16
MAX_OBSERVING: Final = 8  # observed messages at once

_KNOWN_ATTRIBUTES: Final = frozenset(
    [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "hbtimeoutms",
        "hbdryrun",
        "hbchain",
        "traceparent",
        "tracestate",
    ]
)

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Slots:
    """How many handlers run. A thread cannot be stopped: one that timed out keeps its slot."""

    async_calls: int = 0
    threads: int = 0
    stuck_threads: int = 0
    executor: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MAX_THREADS, "hookbus-handler")
    )

    @property
    def are_taken(self) -> bool:
        """No handler of some kind could be started now."""
        return self.async_calls >= MAX_ASYNC_CALLS or self.threads >= MAX_THREADS

    def are_full_for(self, hook: Hook) -> bool:
        return self.async_calls >= MAX_ASYNC_CALLS if hook.is_async else self.threads >= MAX_THREADS


class HandlerFailed(Exception):
    """The handler gave no usable verdict; the text may leave the plugin.

    Attributes:
        letter: what a dead letter says of it; may leave the plugin, too.
        is_permanent: trying again is of no use.
    """

    def __init__(self, text: str, *, letter: str = "", is_permanent: bool = False) -> None:
        super().__init__(text)
        self.letter = letter or text
        self.is_permanent = is_permanent


class _Expiry:
    """Cancels the current task once its time is over.

    asyncio.timeout does this, too, but it was 8 µs of a call's 40; this is 2.
    """

    __slots__ = ("_cancelled_before", "_is_reached", "_timer", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        # without the loop, it asks for it by a system call
        self.task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
        self._cancelled_before = self.task.cancelling()
        self._is_reached = False
        self._timer = loop.call_later(seconds, self._reach)

    def _reach(self) -> None:
        self._is_reached = True
        self.task.cancel()

    def end(self) -> bool:
        """Stop the timer; tell, once, if the time was over and nobody else cancelled the task."""
        self._timer.cancel()
        if not self._is_reached:
            return False
        self._is_reached = False
        return self.task.uncancel() <= self._cancelled_before


class Handling:
    """Runs the handlers of one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self.slots = Slots()
        #: Which values of its configuration the plugin cannot have; empty if it has all.
        self.unusable = ""
        self._observing = asyncio.Semaphore(MAX_OBSERVING)
        self._loop = asyncio.get_running_loop()
        self._clock = clock_of(self._loop)
        self.lines = HandlerLines(self._clock)

    async def answer(self, hook: Hook, call: Call, time_left: float) -> bytes | None:
        """Return the verdict's bytes; None when the call's time was over before the handler's.

        An exception of the handler becomes a ``service_error`` without its text: what went wrong
        inside is for the plugin's log, not for the bus.
        """
        if self.unusable:
            return self._error(call, "service_error", self.unusable)
        if self.slots.are_full_for(hook):
            running = self.slots.async_calls if hook.is_async else self.slots.threads
            return self._error(call, "overloaded", f"{running} calls in flight")
        if time_left <= 0:
            return None
        try:
            event = event_of(call.event, hook)
            started = self._clock()
            verdict = await self._run_in_time(hook, event, time_left)
            if hook.is_async and (elapsed := self._clock() - started) > time_left:
                # the loop was never free to stop it; all other calls waited as well
                self.lines.warn(
                    "handler_blocked_the_loop",
                    hook.options.name,
                    "await what it waits for, or declare it with a plain def, which runs in a"
                    " thread",
                    elapsed_ms=int(elapsed * 1000),
                    timeout_ms=call.timeout_ms,
                )
            return self._verdict(call, verdict)
        except TimeoutError:
            self.lines.warn("handler_timed_out", hook.options.name, timeout_ms=call.timeout_ms)
            return None
        except HandlerFailed as e:
            return self._error(call, "service_error", str(e))

    async def observe(self, hook: Hook, message: Observed) -> None:
        """Show an observer its event.

        Raises:
            HandlerFailed: The message should come again, unless it says otherwise.
        """
        if self.unusable:
            raise HandlerFailed(self.unusable)
        event = event_of(message.event, hook, message)
        async with self._observing:  # the stream keeps what must wait
            result = await self._run(hook, event, asyncio.current_task())
        if result is not None and not isinstance(result, Continue):
            # H09: an observer has no say
            self.lines.warn("observer_verdict_ignored", hook.options.name)

    def cancelled(self, call: Call) -> bytes:
        """What to answer when the task of *call* is cancelled, by its handler or by whoever."""
        return self._error(call, "service_error", "the handler was cancelled")

    async def _run_in_time(self, hook: Hook, event: HookEvent[Any], time_left: float) -> Any:
        expiry = _Expiry(self._loop, time_left)
        try:
            return await self._run(hook, event, expiry.task)
        except asyncio.CancelledError as e:
            if expiry.end():
                raise TimeoutError from e
            raise
        finally:
            expiry.end()

    async def _run(self, hook: Hook, event: HookEvent[Any], task: asyncio.Task[Any] | None) -> Any:
        handled.set(event)  # each call has a task, and so a context, of its own
        try:
            if hook.is_async:
                self.slots.async_calls += 1
                try:
                    result: Any = hook.handler(event)
                    # nearly always a coroutine, and the question whether it is awaitable is dear
                    is_awaitable = type(result) is CoroutineType or isinstance(result, Awaitable)
                    return await result if is_awaitable else result
                finally:
                    self.slots.async_calls -= 1
            return await self._run_in_thread(hook, event)
        except BaseException as e:  # a plugin author's code: it raises GeneratorExit, too
            if _is_meant_for(task, e):
                raise
            raise self._failed(hook, e) from e

    async def _run_in_thread(self, hook: Hook, event: HookEvent[Any]) -> Any:
        slots = self.slots
        slots.threads += 1
        context = contextvars.copy_context()
        done = self._loop.run_in_executor(slots.executor, context.run, _called, hook.handler, event)
        try:
            return await asyncio.shield(done)
        finally:
            if done.done():
                slots.threads -= 1
            else:
                slots.stuck_threads += 1
                name, stuck = hook.options.name, slots.stuck_threads
                self.lines.warn("handler_thread_still_running", name, stuck=stuck)
                done.add_done_callback(self._unstuck)

    def _unstuck(self, done: asyncio.Future[Any]) -> None:
        self.slots.stuck_threads -= 1
        self.slots.threads -= 1
        if not done.cancelled():
            done.exception()  # nobody waits for it any more

    def _failed(self, hook: Hook, error: BaseException) -> HandlerFailed:
        """Say that it raised, and to an operator also what; the text is for the plugin's log."""
        self.lines.raised(hook.options.name, error)
        is_permanent = isinstance(error, PermanentError)
        kind = type(error).__name__
        return HandlerFailed(
            "the handler raised; see the plugin's log",
            letter=f"{kind}: {error}" if is_permanent else f"{kind}; see the plugin's log",
            is_permanent=is_permanent,
        )

    def _verdict(self, call: Call, verdict: Any) -> bytes:
        if verdict is None:
            return _encode(self._reply(call, "continue"))
        if isinstance(verdict, Block):
            return self._block(call, verdict)
        if isinstance(verdict, Continue | Intercept):
            return self._encoded(call, verdict)
        raise HandlerFailed(
            f"the handler returned {type(verdict).__name__},"
            " expected Continue, Intercept, Block or None"
        )

    def _block(self, call: Call, verdict: Block) -> bytes:
        given = {"reason": verdict.reason or None, "code": verdict.code, "message": verdict.message}
        texts = {k: v if v is None or isinstance(v, str) else repr(v) for k, v in given.items()}
        more = {"warnings": verdict.warnings, "annotations": verdict.annotations}
        try:
            return _encode(self._reply(call, "block", **texts, **more))
        except (TypeError, ValueError, RecursionError) as e:
            # as a failure it would let the event pass where the operator said "open"
            problem = json_values.locate({**texts, **more}, e)
            self.lines.warn("block_cut_to_its_texts", call.hook, str(problem))
            whole = {
                k: text and text.encode(errors="replace").decode() for k, text in texts.items()
            }
            return _encode(self._reply(call, "block", **whole))

    def _encoded(self, call: Call, verdict: Continue | Intercept) -> bytes:
        word, change = "continue", {}
        if isinstance(verdict, Intercept):
            word, change = "intercept", _change(verdict)
        details = {"warnings": verdict.warnings, "annotations": verdict.annotations, **change}
        try:
            return _encode(self._reply(call, word, **details))
        except (TypeError, ValueError, RecursionError) as e:
            problem = json_values.locate(details, e)
            raise HandlerFailed(f"the verdict is no JSON: {problem}") from e

    def _error(self, call: Call, code: str, reason: str) -> bytes:
        return _encode(self._reply(call, "error", code=code, reason=reason))

    def _reply(self, call: Call, verdict: str, **members: Any) -> Reply:
        return Reply(
            v=1,
            call=call.call,
            attempt=call.attempt,
            plugin=self._plugin.name,
            version=self._plugin.version,
            verdict=verdict,
            **members,
        )


def _change(verdict: Intercept) -> dict[str, Any]:
    """Give the one of patch, merge and data that is there, as JSON values.

    What the encoder would change on the way is refused: NaN in a merge would delete the field.
    """
    given = {name: getattr(verdict, name) for name in ("patch", "merge", "data")}
    [(name, value)] = [(n, v) for n, v in given.items() if v is not msgspec.UNSET]
    try:
        value = json_values.plain(value)
        json_values.check(value)
    except json_values.NotJson as e:
        raise HandlerFailed(f"the verdict is no JSON: at '/{name}{e.pointer}': {e.message}") from e
    return {name: value}


def event_of(
    attributes: dict[str, Any], hook: Hook, observed: Observed | None = None
) -> HookEvent[Any]:
    """Build what the handler gets.

    Raises:
        HandlerFailed: The data does not fit the model in the handler's annotation, or it is no
            event.
    """
    data = attributes.get("data")
    if hook.payload is not None:
        try:
            data = hook.payload.model_validate(data)
        except ValidationError as e:
            where = e.errors(include_url=False, include_input=False)[0]["loc"]
            raise HandlerFailed(
                f"the data does not fit {hook.payload.__name__} at {'/'.join(map(str, where))!r}",
                is_permanent=True,
            ) from e
    chain = attributes.get("hbchain")
    try:
        return HookEvent(
            id=attributes["id"],
            source=attributes["source"],
            type=attributes["type"],
            data=data,
            subject=attributes.get("subject"),
            time=attributes.get("time"),
            dry_run=attributes.get("hbdryrun") is True,
            chain=tuple(chain.split(",")) if chain else (),
            traceparent=attributes.get("traceparent"),
            tracestate=attributes.get("tracestate"),
            principal=observed.principal if observed else None,
            decision=observed.decision if observed else None,
            extensions=_extensions(attributes),
        )
    except (KeyError, AttributeError) as e:
        raise HandlerFailed(f"the call holds no CloudEvent: {e}", is_permanent=True) from e


def _extensions(attributes: dict[str, Any]) -> dict[str, Any]:
    if attributes.keys() <= _KNOWN_ATTRIBUTES:  # a third of the time of looking at each
        return {}
    return {k: v for k, v in attributes.items() if k not in _KNOWN_ATTRIBUTES}


def _called(handler: Callable[[HookEvent[Any]], Any], event: HookEvent[Any]) -> Any:
    try:
        return handler(event)
    except (StopIteration, GeneratorExit, asyncio.CancelledError) as e:
        # a future cannot hold the first, and the others would end who waits for it
        raise RuntimeError(f"the handler raised {type(e).__name__}") from e


def _is_meant_for(task: asyncio.Task[Any] | None, error: BaseException) -> bool:
    """Tell what ends our task, or the process, from what the handler just raised."""
    match error:
        case KeyboardInterrupt() | SystemExit():
            return True
        case asyncio.CancelledError():
            return task is not None and task.cancelling() > 0
        case GeneratorExit():  # the coroutine is closed because its loop is gone
            return _current_task() is not task
    return False


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
