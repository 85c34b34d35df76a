"""Durable messages: the Streams protocol, and NATS JetStream as one of it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

import nats.js.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from hookbus.transport import NatsTransport

T = TypeVar("T")

_NEW_STREAM: Final = StreamConfig(discard=DiscardPolicy.OLD, storage=StorageType.FILE)
_FOR_GOOD: Final = "2262-01-01T00:00:00Z"  # a pause needs an end
_NO_SUCH_MESSAGE: Final = 10037  # the API's err_code; a missing stream is a 404 too
#: Messages that one consumer's group may hold, those in back-off included: with authentication on,
#: what waits for longer than two minutes in a plugin cannot be acknowledged any more.
_UNANSWERED: Final = 256
_NO_SUCH_SEQUENCE: Final = 10043  # what a deletion says instead, or only in words


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as it should be. *max_age* in seconds, *max_bytes* in bytes.

    *replicas* None leaves those that there are; a new stream has one. *duplicate_window*: for so
    many seconds a ``Nats-Msg-Id`` is known. Of a work queue a message is gone when it is
    acknowledged; that can be said only when the stream is made.
    """

    name: str
    subject: str
    max_age: float
    max_bytes: int
    replicas: int | None = None
    more_subjects: tuple[str, ...] = ()
    duplicate_window: float = 120.0
    is_work_queue: bool = False


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable push consumer as it should be: one per observing hook.

    *ack_wait* in seconds; *max_deliver* counts the first delivery, -1 is no end. A paused one keeps
    its place and delivers nothing. *start*: the sequence that a new one begins with; None is what
    comes from now on.
    """

    stream: str
    name: str
    filter_subject: str
    deliver_subject: str
    deliver_group: str
    ack_wait: float = 30.0
    max_deliver: int = 5
    is_paused: bool = False
    more_filters: tuple[str, ...] = ()
    start: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a consumer is.

    Attributes:
        created: of the consumer, in seconds since the epoch; one that is made anew has another.
        next: the first sequence that it may still deliver, or was not acknowledged.
        delivered: the last sequence that it has come to.
        waiting: messages that it has not delivered yet.
        unanswered: messages that it has delivered, and nobody has acknowledged.
    """

    created: float
    next: int
    delivered: int
    waiting: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Extent:
    """What a stream holds: sequences, *messages* by their subject; *last* 0 is nothing ever."""

    first: int
    last: int
    messages: Mapping[str, int]


class Streams(Protocol):
    """What hookbus needs of JetStream."""

    async def ensure_stream(self, spec: StreamSpec) -> None:
        """Make the stream, or change it until it is as *spec* says."""

    async def ensure_consumer(self, spec: ConsumerSpec) -> None:
        """Make the consumer, or change it until it is as *spec* says.

        A new one starts where *spec* says; one that is there keeps its place, whatever changes.
        """

    async def restart_consumer(self, spec: ConsumerSpec) -> None:
        """Make the consumer anew, so that it begins where *spec* says."""

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Remove the consumer; none of that name is no error."""

    async def consumers(self, stream: str) -> list[ConsumerSpec]:
        """List the durable push consumers of a stream."""

    async def places(self, stream: str) -> dict[str, Place]:
        """Say how far each durable push consumer of a stream is, by its name."""

    async def place(self, stream: str, name: str) -> Place | None:
        """Say how far one is; None: there is none of that name."""

    async def is_there(self, stream: str) -> bool:
        """Tell whether there is such a stream."""

    async def extent(self, stream: str, subject: str = "") -> Extent:
        """Say what a stream holds; messages are counted of the *subject*, a pattern, alone."""

    async def read(self, stream: str, sequence: int) -> StoredMessage | None:
        """Return a stored message, or None when it is not there (any more)."""

    async def find(self, stream: str, start: int, *subjects: str) -> StoredMessage | None:
        """Return the first message from the sequence *start* on that matches a subject, if any."""

    async def count(self, stream: str, start: int, *subjects: str) -> int:
        """Count the messages from the sequence *start* on that match a subject."""

    async def delete(self, stream: str, sequence: int) -> None:
        """Remove one message; none there is no error."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as a stream keeps it; nobody waits for an answer to it.

    *stored_at* is in seconds since the epoch.
    """

    subject: str
    data: bytes
    headers: Mapping[str, str] | None
    reply: str = ""
    sequence: int = 0
    stored_at: float = 0.0


class NatsStreams:
    """JetStream over the connection of a `NatsTransport`.

    Every method raises `Disconnected` or another `TransportError`, which names the stream.
    """

    def __init__(self, transport: NatsTransport) -> None:
        self._transport = transport
        self._jetstream = transport.jetstream

    async def ensure_stream(self, spec: StreamSpec) -> None:
        await self._call(spec.name, self._ensure_stream(spec))

    async def _ensure_stream(self, spec: StreamSpec) -> None:
        try:
            found = (await self._jetstream.stream_info(spec.name)).config
        except nats.js.errors.NotFoundError:
            await self._jetstream.add_stream(_as_specified(_new_stream(spec), spec))
            return
        wanted = _as_specified(found, spec)  # an operator's placement stays
        if wanted != found:
            await self._jetstream.update_stream(wanted)

    async def ensure_consumer(self, spec: ConsumerSpec) -> None:
        await self._call(spec.stream, self._ensure_consumer(spec))

    async def _ensure_consumer(self, spec: ConsumerSpec) -> None:
        try:
            found = await self._jetstream.consumer_info(spec.stream, spec.name)
        except nats.js.errors.NotFoundError:
            await self._add_consumer(spec)
            return
        is_paused = bool(found.paused)
        if _consumer_spec(found) != replace(spec, is_paused=is_paused):
            # on top of what is there: where it began cannot be said anew
            wanted = _as_consumer_specified(found.config, spec)
            try:
                await self._jetstream.add_consumer(spec.stream, wanted)
            except nats.js.errors.BadRequestError:  # a stranger's hand: not all can be changed
                await self._restart_consumer(replace(spec, start=_place(found).next))
                return
        await self._pause(spec, is_paused=is_paused)

    async def restart_consumer(self, spec: ConsumerSpec) -> None:
        await self._call(spec.stream, self._restart_consumer(spec))

    async def _restart_consumer(self, spec: ConsumerSpec) -> None:
        await self._delete_consumer(spec.stream, spec.name)
        await self._add_consumer(spec)

    async def _add_consumer(self, spec: ConsumerSpec) -> None:
        await self._jetstream.add_consumer(
            spec.stream, _as_consumer_specified(_new_consumer(spec), spec)
        )
        await self._pause(spec, is_paused=False)

    async def _pause(self, spec: ConsumerSpec, *, is_paused: bool) -> None:
        """Bring a consumer that *is_paused* now to what *spec* says."""
        if spec.is_paused and not is_paused:
            await self._jetstream.pause_consumer(spec.stream, spec.name, _FOR_GOOD)
        elif is_paused and not spec.is_paused:
            await self._jetstream.resume_consumer(spec.stream, spec.name)

    async def delete_consumer(self, stream: str, name: str) -> None:
        await self._call(stream, self._delete_consumer(stream, name))

    async def _delete_consumer(self, stream: str, name: str) -> None:
        with contextlib.suppress(nats.js.errors.NotFoundError):
            await self._jetstream.delete_consumer(stream, name)

    async def consumers(self, stream: str) -> list[ConsumerSpec]:
        return list(map(_consumer_spec, await self._call(stream, self._consumers(stream))))

    async def places(self, stream: str) -> dict[str, Place]:
        found = await self._call(stream, self._consumers(stream))
        return {info.name: _place(info) for info in found}

    async def place(self, stream: str, name: str) -> Place | None:
        return await self._call(stream, self._find_place(stream, name))

    async def _find_place(self, stream: str, name: str) -> Place | None:
        try:
            return _place(await self._jetstream.consumer_info(stream, name))
        except nats.js.errors.NotFoundError:
            return None

    async def _consumers(self, stream: str) -> list[ConsumerInfo]:
        found: list[ConsumerInfo] = []
        while page := await self._jetstream.consumers_info(stream, offset=len(found)):
            found.extend(page)
        return [info for info in found if info.config.durable_name and info.config.deliver_subject]

    async def is_there(self, stream: str) -> bool:
        return await self._call(stream, self._is_there(stream))

    async def _is_there(self, stream: str) -> bool:
        try:
            await self._jetstream.stream_info(stream)
        except nats.js.errors.NotFoundError:
            return False
        return True

    async def extent(self, stream: str, subject: str = "") -> Extent:
        asking = self._jetstream.stream_info(stream, subjects_filter=subject or None)
        state = (await self._call(stream, asking)).state
        return Extent(state.first_seq, state.last_seq, state.subjects or {})

    async def read(self, stream: str, sequence: int) -> StoredMessage | None:
        return await self._call(stream, self._read(stream, sequence))

    async def find(self, stream: str, start: int, *subjects: str) -> StoredMessage | None:
        found = [await self._call(stream, self._read(stream, start, s)) for s in subjects]
        return min(filter(None, found), key=attrgetter("sequence"), default=None)

    async def _read(
        self, stream: str, sequence: int, subject: str | None = None
    ) -> StoredMessage | None:
        """Read that one, or the next one of *subject*."""
        try:
            found = await self._jetstream.get_msg(stream, sequence, subject, next=bool(subject))
        except nats.js.errors.NotFoundError as error:
            if error.err_code == _NO_SUCH_MESSAGE:
                return None
            raise
        return StoredMessage(
            found.subject or "",
            found.data or b"",
            found.headers,
            sequence=found.seq or 0,
            stored_at=found.time.timestamp() if found.time else 0.0,
        )

    async def count(self, stream: str, start: int, *subjects: str) -> int:
        return await self._call(stream, self._count(stream, start, subjects))

    async def _count(self, stream: str, start: int, subjects: tuple[str, ...]) -> int:
        """A consumer that nobody reads is told how much there is for it."""
        config = ConsumerConfig(
            name=f"count-{secrets.token_hex(8)}",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            filter_subjects=list(subjects),
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=5.0,  # seconds, should nobody come to remove it
        )
        made = await self._jetstream.add_consumer(stream, config)
        await self._delete_consumer(stream, made.name)
        return made.num_pending or 0

    async def delete(self, stream: str, sequence: int) -> None:
        await self._call(stream, self._delete(stream, sequence))

    async def _delete(self, stream: str, sequence: int) -> None:
        try:
            await self._jetstream.delete_msg(stream, sequence)
        except nats.js.errors.APIError as error:
            if error.err_code != _NO_SUCH_SEQUENCE and error.description != "no message found":
                raise

    async def _call(self, stream: str, operation: Coroutine[Any, Any, T]) -> T:
        return await self._transport.unless_lost(operation, f"stream {stream!r}")


def _new_stream(spec: StreamSpec) -> StreamConfig:
    policy = RetentionPolicy.WORK_QUEUE if spec.is_work_queue else RetentionPolicy.LIMITS
    return replace(_NEW_STREAM, retention=policy)


def _as_specified(config: StreamConfig, spec: StreamSpec) -> StreamConfig:
    return replace(
        config,
        name=spec.name,
        subjects=[spec.subject, *spec.more_subjects],
        max_age=spec.max_age,
        max_bytes=spec.max_bytes,
        num_replicas=spec.replicas or config.num_replicas,
        # the broker refuses a window that is longer than the messages live
        duplicate_window=min(spec.duplicate_window, spec.max_age or spec.duplicate_window),
    )


def _new_consumer(spec: ConsumerSpec) -> ConsumerConfig:
    policy = DeliverPolicy.NEW if spec.start is None else DeliverPolicy.BY_START_SEQUENCE
    policy = DeliverPolicy.ALL if spec.start == 1 else policy
    return ConsumerConfig(
        name=spec.name,
        durable_name=spec.name,
        deliver_policy=policy,
        opt_start_seq=spec.start if policy is DeliverPolicy.BY_START_SEQUENCE else None,
        ack_policy=AckPolicy.EXPLICIT,
    )


def _as_consumer_specified(config: ConsumerConfig, spec: ConsumerSpec) -> ConsumerConfig:
    filters = [spec.filter_subject, *spec.more_filters]
    return replace(
        config,
        filter_subject=None if spec.more_filters else spec.filter_subject,
        filter_subjects=filters if spec.more_filters else None,
        deliver_subject=spec.deliver_subject,
        deliver_group=spec.deliver_group,
        ack_wait=spec.ack_wait,
        max_deliver=spec.max_deliver,
        max_ack_pending=_UNANSWERED,
    )


def _consumer_spec(info: ConsumerInfo) -> ConsumerSpec:
    config = info.config
    filters = config.filter_subjects or [config.filter_subject or ""]
    return ConsumerSpec(
        stream=info.stream_name,
        name=info.name,
        filter_subject=filters[0],
        deliver_subject=config.deliver_subject or "",
        deliver_group=config.deliver_group or "",
        ack_wait=config.ack_wait or 0.0,
        max_deliver=config.max_deliver or 0,
        is_paused=bool(info.paused),
        more_filters=tuple(filters[1:]),
    )


def _place(info: ConsumerInfo) -> Place:
    delivered = info.delivered.stream_seq if info.delivered else 0
    floor = info.ack_floor.stream_seq if info.ack_floor else 0
    unanswered = info.num_ack_pending or 0
    # the floor stays behind a message that was given up, until nothing is unanswered
    done = floor if unanswered else delivered
    return Place(info.created.timestamp(), done + 1, delivered, info.num_pending or 0, unanswered)
