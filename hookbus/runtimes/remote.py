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
from collections import deque
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
REMEMBERED: Final = 10_000  # calls
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


class _Stage:
    """The calls of one stage, until the last is settled."""

    __slots__ = ("done", "missing", "open", "replies", "tail", "timer")

    def __init__(self, size: int, done: asyncio.Future[None], tail: CallTail) -> None:
        self.tail = tail
        self.replies: list[Reply | None] = [None] * size
        self.missing = size
        self.done = done
        self.open: list[_Call] = []
        self.timer = -1  # none yet


class _Call:
    """One call on its way."""

    __slots__ = (
        "allowance",
        "attempt",
        "binding",
        "due",
        "expected",
        "index",
        "is_capped",
        "notes",
        "sent",
        "stage",
    )

    def __init__(
        self, stage: _Stage, index: int, question: Question, call_id: str, sent: float
    ) -> None:
        self.stage = stage
        self.index = index
        binding, allowance = question
        self.binding: Binding = binding
        self.allowance: Allowance = allowance
        self.expected = Expected(binding.plugin, call_id, 1, binding.max_reply_bytes)
        self.sent = sent
        self.due = sent + allowance.timeout
        self.attempt = 1
        self.notes: tuple[dict[str, Any], ...] = ()
        self.is_capped = False


class Remote:
    """A Runtime whose plugins answer on the broker."""

    def __init__(self, transport: Transport, dispatcher: str, counters: Counters) -> None:
        self._transport = transport
        self._prefix = subjects.reply_prefix(dispatcher)
        self._counters = counters
        self._ids = call_ids()
        self._calls: dict[str, _Call] = {}
        self._finished: dict[str, str] = {}  # call id -> what a further reply to it is
        self._order: deque[tuple[float, str]] = deque()
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
        stage = _Stage(len(questions), self._loop.create_future(), tail)
        sent = self._clock()
        try:
            for index, question in enumerate(questions):
                call_id = next(self._ids)
                call = self._calls[call_id] = _Call(stage, index, question, call_id, sent)
                stage.open.append(call)
                await self._send(call, call.allowance.timeout)
            if stage.missing:
                self._arm(stage)
                await stage.done
        finally:
            self._timers.cancel(stage.timer)
            for call in stage.open:  # only when the waiting itself was cancelled
                self._forget(call, "late_reply")
        return [reply for reply in stage.replies if reply is not None]

    async def _send(self, call: _Call, timeout: float) -> None:
        binding, call_id = call.binding, call.expected.call
        body = encode_call(
            call_id, call.attempt, binding.target, whole_milliseconds(timeout), call.stage.tail
        )
        try:
            await self._transport.publish(
                binding.subject, body, reply=f"{self._prefix}{call_id}.{binding.plugin}"
            )
        except TransportError as e:
            self._failed(call, failure("transport", f"not sent: {e}"))

    def _on_reply(self, message: Message) -> None:
        call_id, _, plugin = message.subject[len(self._prefix) :].partition(".")
        call = self._calls.get(call_id)
        if call is None:
            self._forget_old(self._clock())
            self._counters.count(self._finished.get(call_id, "unmatched_reply"))
        elif plugin != call.expected.plugin:
            self._counters.count("spoofed_reply")
        else:
            self._take(call, verify_reply(message.data, message.headers, call.expected))

    def _take(self, call: _Call, result: Answer | Extend | Dropped) -> None:
        if isinstance(result, Dropped):
            self._counters.count(result.counter)
        elif isinstance(result, Extend):
            self._extend(call, result)
        elif result.failure is None:
            self._settle(call, result, "duplicate_responder")
        else:
            self._failed(call, result, "duplicate_responder")

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
        call.expected = msgspec.structs.replace(call.expected, attempt=call.attempt)
        retry = self._loop.create_task(self._retry(call, delay))
        self._retries.add(retry)
        retry.add_done_callback(self._retries.discard)

    async def _retry(self, call: _Call, delay: float) -> None:
        await asyncio.sleep(delay)
        left = call.due - self._clock()
        if call.expected.call in self._calls and left > 0:
            await self._send(call, left)

    def _settle(self, call: _Call, answer: Answer, further: str) -> None:
        """Fill the call's slot; the last one ends the stage. R13: the first valid reply wins."""
        stage = call.stage
        stage.open.remove(call)
        self._forget(call, further)
        ms = round((self._clock() - call.sent) * 1000, 3)
        stage.replies[call.index] = Reply(answer, ms, call.attempt, call.notes, call.is_capped)
        stage.missing -= 1
        if not stage.missing and not stage.done.done():
            stage.done.set_result(None)

    def _forget(self, call: _Call, further: str) -> None:
        call_id, now = call.expected.call, self._clock()
        del self._calls[call_id]
        self._finished[call_id] = further
        self._order.append((now + REMEMBERED_FOR, call_id))
        self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        order = self._order
        while order and (order[0][0] <= now or len(order) > REMEMBERED):
            del self._finished[order.popleft()[1]]

    def _arm(self, stage: _Stage) -> None:
        """Wake up when the next of the stage's calls runs out of time."""
        self._timers.cancel(stage.timer)
        stage.timer = self._timers.set(min([call.due for call in stage.open]), stage)

    def _on_due(self, stage: _Stage) -> None:
        now = self._clock() + EARLY
        for call in [c for c in stage.open if c.due <= now]:
            self._settle(call, failure("timeout", _unanswered(call)), "late_reply")
        if stage.missing:
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
