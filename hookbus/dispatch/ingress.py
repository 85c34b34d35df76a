"""An emit's bytes in, the reply's bytes out: checks, refusals, readiness, the in-flight limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from hookbus import subjects
from hookbus.catalog import TypeSettings
from hookbus.dispatch.aggregate import Ledger, Objection, combine
from hookbus.dispatch.chain import with_chain
from hookbus.dispatch.deadline import budget_of, event_timeout
from hookbus.dispatch.dispatcher import Dispatcher
from hookbus.dispatch.once import Kept, Once, Running
from hookbus.dispatch.task import Task, task_of
from hookbus.errors import InvalidEvent, TransportError
from hookbus.loop import clock_of
from hookbus.measures import Counters
from hookbus.snapshot import Limits, Snapshot
from hookbus.telemetry import Tracing
from hookbus.transport import Message, Subscription, Transport
from hookbus.wire.call import encode_observed
from hookbus.wire.decision import (
    ErrorBody,
    encode_answer,
    encode_refusal,
    refusal_of,
)
from hookbus.wire.event import Inbound, decode_event
from hookbus.wire.limits import NOT_JSON

STORE_TIMEOUT: Final = 2.0  # seconds to wait for the stream's acknowledgement of a notified event

_NOT_READY: Final = (
    "the dispatcher has no configuration yet; is a registry running, and were settings applied"
    " ('hookbus settings apply')?"
)

log = logging.getLogger(__name__)


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A message with a checked event in it. *received* is on the dispatcher's clock."""

    inbound: Inbound
    received: float


#: A reply's body and headers.
Reply: TypeAlias = tuple[bytes, dict[str, str] | None]
#: Where a reply goes: over the broker, or to an emitter in this process. False: it has piled up.
Deliver: TypeAlias = Callable[[bytes, dict[str, str] | None], bool]


class Ingress:
    """Takes emits and notifications and answers each exactly once.

    It listens before the first snapshot is loaded: not ready is not the same as no plugins (R25).
    """

    def __init__(
        self,
        transport: Transport,
        dispatcher: Dispatcher,
        counters: Counters,
        new_id: Callable[[], str],
        tracing: Tracing | None = None,
    ) -> None:
        self._transport = transport
        self._dispatcher = dispatcher
        self._counters = counters
        self._new_id = new_id
        self._tracing = tracing
        self._loop = asyncio.get_running_loop()
        self._clock = clock_of(self._loop)
        self._once = Once()
        self._snapshot: Snapshot | None = None
        self._ready = asyncio.Event()
        self._running: set[asyncio.Task[Any] | None] = set()
        self._subscriptions: list[Subscription] = []

    @property
    def generation(self) -> int:
        """The generation that the next event uses; 0 before the first is loaded."""
        return self._snapshot.generation if self._snapshot else 0

    @property
    def in_flight(self) -> int:
        return len(self._running)

    @property
    def max_in_flight(self) -> int:
        """The limit of it; events beyond are blocked at once, there is no queue."""
        return (self._snapshot.limits if self._snapshot else Limits()).max_in_flight

    def use(self, snapshot: Snapshot) -> None:
        """Decide what comes from now on under *snapshot*; what runs keeps its own (R16)."""
        self._snapshot = snapshot
        self._ready.set()

    async def listen(self) -> None:
        """Take what comes over the broker, as one of the queue group of dispatchers."""
        for subject in (subjects.EMIT_ALL, subjects.NOTIFY_ALL):
            self._subscriptions.append(
                await self._transport.subscribe(
                    subject, self._on_message, queue=subjects.DISPATCHER_QUEUE
                )
            )

    def take(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None, deliver: Deliver
    ) -> None:
        """Decide an emit, or store a notification, and *deliver* the one reply to it.

        *subject* is ``hookbus.emit.<principal>.<type>`` or ``hookbus.notify.…``.
        """
        answering = self._answered(subject, body, headers, deliver)
        self._running.add(self._loop.create_task(answering))

    async def stop(self) -> None:
        """Take nothing new, then let everything that runs finish with its replies still open."""
        for subscription in self._subscriptions:
            await subscription.drain()
        while self._running:
            await asyncio.wait([task for task in self._running if task is not None])

    def _on_message(self, message: Message) -> None:
        # NATS does not check reply subjects: an answer to another subject than an inbox
        # could be made to speak for the dispatcher
        if not message.reply.startswith(subjects.INBOX):
            self._counters.count("no_reply_subject")
            return
        deliver = partial(self._publish, message.reply)
        self.take(message.subject, message.data, message.headers, deliver)

    async def _answered(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None, deliver: Deliver
    ) -> None:
        try:
            if not deliver(*await self._reply(subject, body, headers)):
                # in flight until the broker takes it: who is too fast for it is told "overloaded"
                await self._transport.ready()
        finally:
            self._running.discard(asyncio.current_task())

    async def _reply(self, subject: str, body: bytes, headers: Mapping[str, str] | None) -> Reply:
        received = self._clock()
        principal, event_type = subjects.principal_and_type(subject)
        try:
            inbound = decode_event(body, headers, principal, event_type)
            if subject.startswith(subjects.NOTIFY):
                return await self._notify(inbound)
            if self._tracing is not None:
                share = (self._snapshot.limits if self._snapshot else Limits()).trace_sampling
                inbound = self._tracing.begin(inbound, share)
            return await self._decide(Arrival(inbound, received)), None
        except InvalidEvent as e:
            return self._refused(refusal_of(e))
        except Exception:
            # a defect of ours: nothing was decided, and nobody may guess
            log.exception("dispatch_failed")
            return self._refused(ErrorBody("unavailable", "the dispatcher failed"))

    async def _decide(self, arrival: Arrival) -> bytes:
        stopped = self._over_limit(arrival)
        if stopped is not None:
            return await self._blocked(arrival, stopped)
        snapshot = self._snapshot or await self._first_snapshot(arrival.inbound)
        if snapshot is None:
            self._counters.count("not_ready")
            reason = f"not_ready: {_NOT_READY}"
            return await self._blocked(arrival, Objection(None, "config", "not_ready", reason))
        task = self._task(arrival, snapshot)
        if not snapshot.limits.idempotency:
            return (await self._dispatcher.dispatch(task)).reply
        key, digest = self._once.key_of(task.inbound)
        known = self._once.find(key, self._clock())
        if known is not None:
            return await self._again(arrival, task, known, digest)
        self._once.open(key, digest)
        try:
            decided = await self._dispatcher.dispatch(task)
        except BaseException:
            self._once.fail(key)
            raise
        self._once.close(key, decided, self._clock())
        return decided.reply

    def _task(self, arrival: Arrival, snapshot: Snapshot) -> Task:
        """Give an event that fits its type its time, under one generation."""
        event = arrival.inbound.event
        event_type = snapshot.catalog.get(event.type)
        event_type.check(event.data)
        timeout = event_timeout(event.hbtimeoutms, event_type.settings, snapshot.limits)
        inbound = with_chain(arrival.inbound, snapshot)
        return task_of(inbound, snapshot, self._new_id(), arrival.received, timeout)

    async def _again(
        self, arrival: Arrival, task: Task, known: Kept | Running, digest: int
    ) -> bytes:
        """R26: a repeated event gets the decision of the first, one in flight included."""
        event = task.inbound.event
        if known.digest != digest:
            self._counters.count("id_reuse")
            reason = f"id_reuse: event {event.id!r} of {event.source!r} came with other content"
            return await self._blocked(arrival, Objection(None, "config", "id_reuse", reason))
        self._counters.count("repeated_events")
        if isinstance(known, Kept):
            return known.reply
        waiting: asyncio.Future[bytes] = self._loop.create_future()
        known.waiting.append(waiting)
        try:
            async with asyncio.timeout(task.ends - self._clock()):
                return await waiting
        except TimeoutError:  # its own time, that of the first may be longer
            reason = "timeout: the same event came before, and is still being decided"
            return await self._blocked(arrival, Objection(None, "deadline", "timeout", reason))

    def _over_limit(self, arrival: Arrival) -> Objection | None:
        limits = self._snapshot.limits if self._snapshot else Limits()
        size = len(arrival.inbound.body)
        if size > limits.max_event_bytes:
            reason = f"the event takes {size} bytes, at most {limits.max_event_bytes}"
            return Objection(None, "limit", "event_too_large", f"event_too_large: {reason}")
        if len(self._running) > limits.max_in_flight:
            self._counters.count("overloaded")
            reason = f"{limits.max_in_flight} events are being decided already"
            return Objection(None, "limit", "overloaded", f"overloaded: {reason}")
        return None

    async def _first_snapshot(self, inbound: Inbound) -> Snapshot | None:
        """Wait for it as long as the event's own budget lasts, at most ``ready_timeout`` (R25)."""
        limits = Limits()
        asked_ms = inbound.event.hbtimeoutms or limits.timeout_ms
        wait = min(limits.ready_timeout_ms / 1000, budget_of(asked_ms / 1000))
        try:
            async with asyncio.timeout(wait):
                await self._ready.wait()
        except TimeoutError:
            pass
        return self._snapshot

    async def _notify(self, inbound: Inbound) -> Reply:
        """Hand an event to the observers; it is answered once the stream has it."""
        snapshot = self._snapshot or await self._first_snapshot(inbound)
        if snapshot is None:
            return self._refused(ErrorBody("unavailable", "not ready"))
        size, maximum = len(inbound.body), snapshot.limits.max_event_bytes
        if size > maximum:
            raise InvalidEvent(f"the event takes {size} bytes, at most {maximum}")
        snapshot.catalog.get(inbound.event.type).check(inbound.event.data)
        problem = None if inbound.dry_run else await self._store(inbound)
        if problem is not None:
            return self._refused(ErrorBody("unavailable", problem))
        return encode_answer({"stored": not inbound.dry_run}), None

    async def _store(self, inbound: Inbound) -> str | None:
        """Wait until the stream has the event; return why not."""
        body = encode_observed(inbound.principal, inbound.body, b"null", inbound.trace)
        subject = subjects.observe(inbound.event.type)
        try:
            reply = await self._transport.request(subject, body, timeout=STORE_TIMEOUT)
            answer = msgspec.json.decode(reply.data)
        except (TransportError, *NOT_JSON) as e:
            return f"not stored: {e}"
        stored = isinstance(answer, dict) and "seq" in answer
        return None if stored else f"not stored: the stream answered {answer!r}"

    async def _blocked(self, arrival: Arrival, objection: Objection) -> bytes:
        """Decide without asking anybody."""
        ledger = Ledger(objections=[objection])
        decision = combine(arrival.inbound, self.generation, self._new_id(), ledger)
        decided = await self._dispatcher.hand_over(
            arrival.inbound, decision, arrival.received, self._stored_by(arrival)
        )
        return decided.reply

    def _stored_by(self, arrival: Arrival) -> float | None:
        """Until when the record must be stored of a decision that asks nobody."""
        snapshot = self._snapshot
        if snapshot is None or not snapshot.limits.audit:
            return None
        event = arrival.inbound.event
        known = event.type in snapshot.catalog
        settings = snapshot.catalog.get(event.type).settings if known else TypeSettings()
        timeout = event_timeout(event.hbtimeoutms, settings, snapshot.limits)
        return arrival.received + budget_of(timeout)

    def _refused(self, error: ErrorBody) -> Reply:
        self._counters.count("refused")
        return encode_refusal(error)

    def _publish(self, reply: str, body: bytes, headers: dict[str, str] | None) -> bool:
        try:
            return self._transport.post(reply, body, headers=headers)
        except TransportError as e:
            self._counters.count("undelivered")
            log.warning("reply_not_sent: %s", e)
            return True
