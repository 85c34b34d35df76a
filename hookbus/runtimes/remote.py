"""Asking plugins over the broker: n publishes in one tick, one future for the stage, one timer.

One inbox takes the replies of a whole dispatcher, ``hookbus.reply.<dispatcher>.<call>.<plugin>``.
The subject's last token says who answers (the broker's permissions bind it), so a 503 on it is
that plugin's ``no_responders``. There is no future, task or ``wait_for`` per plugin: measured,
they cost more than everything else here together.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.errors import TransportError
from hookbus.loop import clock_of
from hookbus.measures import Counters
from hookbus.models import FailureClass
from hookbus.runtimes.base import Allowance, Question, Reply
from hookbus.runtimes.timers import EARLY, Timers
from hookbus.snapshot import Binding
from hookbus.transport import Message, Subscription, Transport
from hookbus.wire.call import CallTail, encode_call, whole_milliseconds
from hookbus.wire.verdict import Answer, Dropped, Expected, Extend, failure, verify_reply

REMEMBERED_FOR: Final = 10.0  # seconds that a finished call is told from one that never was
REMEMBERED: Final = 10_000  # calls, at least
_SAME_TIME: Final = 0.02  # seconds within which calls count as ended at once
_NEVER: Final = ("unmatched_reply", 0.0)
ABSENT_DELAY: Final = 0.020  # seconds until a plugin that was not there, or full, is asked again

#: Failures after which a call may be sent again. What ran out of time has none left.
_RETRIED: Final[frozenset[FailureClass | None]] = frozenset(
    (
        "no_responders",
        "transport",
        "service_error",
        "overloaded",
        "malformed",
        "uid_mismatch",
        "unknown_verdict",
        "reply_too_large",
    )
)


def call_ids() -> Iterator[str]:
    """Yield 22 characters at a time that nobody can guess; ``nats.nuid`` is a counter."""
    while True:
        # one system call and one encoding for many; 33 bytes are two ids of 16½ bytes
        random = base64.urlsafe_b64encode(os.urandom(33 * 32)).decode()
        for start in range(0, len(random), 22):
            yield random[start : start + 22]


class _Stage(msgspec.Struct, eq=False):
    """The calls of one stage, until the last is settled; a reply stands where its question did."""

    tail: CallTail
    done: asyncio.Future[None]
    replies: list[Any]
    open: list[_Call] = []
    timer: int = -1  # none yet


class _Call(Expected, eq=False):
    """One call on its way. *sent* and *due* are on the dispatcher's clock."""

    stage: _Stage
    index: int
    binding: Binding
    allowance: Allowance
    sent: float
    due: float
    notes: tuple[dict[str, Any], ...] = ()
    is_capped: bool = False


class _Finished:
    """What a further reply to a call that is over counts as, for a while.

    Two dictionaries that take turns: remembering one costs a fraction of what a queue of ends did.
    Those that end at about the same time share one entry, which is 2 % of a dispatcher less: memory
    that is looked at once again, ten thousand calls later, is a miss in the processor's caches.
    """

    __slots__ = ("_before", "_last", "_now", "_until")

    def __init__(self) -> None:
        self._now: dict[str, tuple[str, float]] = {}
        self._before: dict[str, tuple[str, float]] = {}
        self._last = _NEVER
        self._until = 0.0

    def add(self, call_id: str, further: str, now: float) -> None:
        """Remember a call that ends *now*; the oldest are forgotten beyond `REMEMBERED`."""
        if now >= self._until or len(self._now) >= REMEMBERED:
            self._before, self._now = self._now, {}
            self._until = now + REMEMBERED_FOR
        last = self._last
        if last[0] != further or now - last[1] > _SAME_TIME:
            last = self._last = further, now
        self._now[call_id] = last

    def counter_of(self, call_id: str, now: float) -> str:
        """What a reply to it counts as; one that is not known was never made, or long ago."""
        further, ended = self._now.get(call_id) or self._before.get(call_id, _NEVER)
        return further if now - ended < REMEMBERED_FOR else "unmatched_reply"


class Remote:
    """A Runtime whose plugins answer on the broker."""

    def __init__(self, transport: Transport, dispatcher: str, counters: Counters) -> None:
        self._transport = transport
        self._prefix = subjects.reply_prefix(dispatcher)
        self._counters = counters
        self._ids = call_ids()
        self._calls: dict[str, _Call] = {}
        self._finished = _Finished()
        self._loop = asyncio.get_running_loop()
        self._clock = clock_of(self._loop)
        self._timers = Timers(self._clock, self._on_due)
        self._retries: set[asyncio.Task[None]] = set()
        self._inbox: Subscription | None = None

    async def start(self) -> None:
        """Open the reply inbox."""
        self._inbox = await self._transport.subscribe(f"{self._prefix}*.*", self._on_reply)
        self._transport.on_disconnect(self._on_disconnect)
        self._transport.on_denied(self._on_denied)

    async def stop(self) -> None:
        """Close the reply inbox; whoever still waits is answered ``cancelled``."""
        if self._inbox is not None:
            await self._inbox.drain()
        for call in list(self._calls.values()):
            self._settle(call, failure("cancelled", "the dispatcher stopped"), "late_reply")

    async def ask(self, questions: Sequence[Question], tail: CallTail) -> list[Reply]:
        """Ask all at once; see :class:`~hookbus.runtimes.base.Runtime`."""
        stage = _Stage(tail, self._loop.create_future(), [None] * len(questions))
        now, calls = self._clock(), self._calls
        for index, (binding, allowance) in enumerate(questions):
            call_id = next(self._ids)
            call = calls[call_id] = _Call(
                binding.plugin,
                call_id,
                1,
                binding.max_reply_bytes,
                stage,
                index,
                binding,
                allowance,
                now,
                now + allowance.timeout,
            )
            stage.open.append(call)
        try:
            for call in tuple(stage.open):
                allowance = call.allowance
                self._send(
                    call,
                    whole_milliseconds(allowance.timeout)
                    if allowance.is_shortened
                    else call.binding.timeout_ms,
                )
            if stage.open:
                stage.timer = self._timers.set(min([call.due for call in stage.open]), stage)
                await stage.done
        finally:
            self._timers.cancel(stage.timer)
            for call in stage.open:  # only when the waiting itself was cancelled
                self._forget(call, "late_reply", self._clock())
        return stage.replies

    def _send(self, call: _Call, timeout_ms: int) -> None:
        binding, call_id = call.binding, call.call
        body = encode_call(call_id, call.attempt, binding.target, timeout_ms, call.stage.tail)
        try:
            self._transport.post(
                binding.subject, body, reply=f"{self._prefix}{call_id}.{call.plugin}"
            )
        except TransportError as e:
            self._failed(call, failure("transport", f"not sent: {e}"))

    def _on_reply(self, message: Message) -> None:
        call_id, _, plugin = message.subject[len(self._prefix) :].partition(".")
        call = self._calls.get(call_id)
        if call is None:
            counter = self._finished.counter_of(call_id, self._clock())
            self._counters.count(counter, plugin=plugin)
        elif plugin != call.plugin:
            self._counters.count("spoofed_reply", plugin=plugin)
        else:
            self._take(call, verify_reply(message.data, message.headers, call))

    def _take(self, call: _Call, result: Answer | Extend | Dropped) -> None:
        if isinstance(result, Answer):
            if result.failure is None:
                self._settle(call, result, "duplicate_responder")
            else:
                self._failed(call, result, "duplicate_responder")
        elif isinstance(result, Extend):
            self._extend(call, result)
        else:
            self._counters.count(result.counter, plugin=call.plugin)

    def _extend(self, call: _Call, extend: Extend) -> None:
        """Give more time, once, never past the stage's cap (D10-D13)."""
        most = call.binding.max_extension_ms
        if call.notes or most <= 0 or extend.extend_ms <= 0:
            self._counters.count("extension_ignored")
            return
        wanted = call.due + min(extend.extend_ms, most) / 1000
        latest = call.sent + call.allowance.cap
        call.is_capped = wanted > latest
        call.due = min(wanted, latest)
        call.notes = ({"kind": "extended", "ms": min(extend.extend_ms, most)},)
        self._arm(call.stage)

    def _failed(self, call: _Call, answer: Answer, further: str = "late_reply") -> None:
        """Try again within the call's one timeout, where that is allowed; else that was it."""
        delay = retry_delay(call.binding, answer.failure, call.attempt)
        if delay is None or self._clock() + delay >= call.due:
            self._settle(call, answer, further)
            return
        call.attempt += 1
        retry = self._loop.create_task(self._retry(call, delay))
        self._retries.add(retry)
        retry.add_done_callback(self._retries.discard)

    async def _retry(self, call: _Call, delay: float) -> None:
        await asyncio.sleep(delay)
        left = call.due - self._clock()
        if call.call in self._calls and left > 0:
            self._send(call, whole_milliseconds(left))

    def _settle(self, call: _Call, answer: Answer, further: str) -> None:
        """Fill the call's slot; the last one ends the stage. R13: the first valid reply wins."""
        stage, now = call.stage, self._clock()
        stage.open.remove(call)
        self._forget(call, further, now)
        ms = round((now - call.sent) * 1000, 3)
        stage.replies[call.index] = Reply(answer, ms, call.attempt, call.notes, call.is_capped)
        if not stage.open and not stage.done.done():
            stage.done.set_result(None)

    def _forget(self, call: _Call, further: str, now: float) -> None:
        del self._calls[call.call]
        self._finished.add(call.call, further, now)

    def _arm(self, stage: _Stage) -> None:
        """Wake up when the next of the stage's calls runs out of time."""
        self._timers.cancel(stage.timer)
        stage.timer = self._timers.set(min([call.due for call in stage.open]), stage)

    def _on_due(self, stage: _Stage) -> None:
        now = self._clock() + EARLY
        for call in [c for c in stage.open if c.due <= now]:
            self._settle(call, failure("timeout", _unanswered(call)), "late_reply")
        if stage.open:
            self._arm(stage)

    def _on_disconnect(self) -> None:
        """Fail at once: whatever was sent may be lost, and nothing is sent again."""
        for call in list(self._calls.values()):
            self._settle(call, failure("transport", "the broker connection was lost"), "late_reply")

    def _on_denied(self, subject: str) -> None:
        for call in list(self._calls.values()):
            if call.binding.subject == subject:
                reason = f"the broker refuses to publish on {subject}"
                self._settle(call, failure("transport", reason), "late_reply")


def _unanswered(call: _Call) -> str:
    """Say how long was waited: never a measured time, the same event gives the same text (R29)."""
    if call.is_capped or call.allowance.timeout < call.binding.timeout:
        return "no answer in the time that the event's budget left it"
    waited_ms = call.binding.timeout_ms + sum(note["ms"] for note in call.notes)
    return f"no answer within {waited_ms} ms"


def retry_delay(binding: Binding, failed: FailureClass | None, attempt: int) -> float | None:
    """Return after how many seconds a call is sent again, or None.

    A plugin without side effects may be asked again; any other only when it was not there.
    """
    if attempt > binding.retry or failed not in _RETRIED:
        return None
    if failed == "no_responders":
        return ABSENT_DELAY
    if binding.side_effects != "none":
        return None
    return ABSENT_DELAY if failed == "overloaded" else 0.0
