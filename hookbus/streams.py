"""Durable messages: the Streams protocol, and NATS JetStream as one of it."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
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

from hookbus.message import Message
from hookbus.transport import NatsTransport

T = TypeVar("T")

_NEW_STREAM: Final = StreamConfig(
    retention=RetentionPolicy.LIMITS, discard=DiscardPolicy.OLD, storage=StorageType.FILE
)
_FOR_GOOD: Final = "2262-01-01T00:00:00Z"  # a pause needs an end
_DUPLICATE_WINDOW: Final = 120.0  # seconds, the broker's own default
_NO_SUCH_MESSAGE: Final = 10037  # the API's err_code; a missing stream is a 404 too


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as it should be. *max_age* in seconds, *max_bytes* in bytes.

    *replicas* None leaves those that there are; a new stream has one.
    """

    name: str
    subject: str
    max_age: float
    max_bytes: int
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable push consumer as it should be: one per observing hook.

    *ack_wait* in seconds; *max_deliver* counts the first delivery. A paused one keeps its place
    and delivers nothing.
    """

    stream: str
    name: str
    filter_subject: str
    deliver_subject: str
    deliver_group: str
    ack_wait: float = 30.0
    max_deliver: int = 5
    is_paused: bool = False


class Streams(Protocol):
    """What hookbus needs of JetStream."""

    async def ensure_stream(self, spec: StreamSpec) -> None:
        """Make the stream, or change it until it is as *spec* says."""

    async def ensure_consumer(self, spec: ConsumerSpec) -> None:
        """Make the consumer, or change it until it is as *spec* says.

        A new one starts with the messages from now on.
        """

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Remove the consumer; none of that name is no error."""

    async def consumers(self, stream: str) -> list[ConsumerSpec]:
        """List the durable push consumers of a stream."""

    async def read(self, stream: str, sequence: int) -> Message | None:
        """Return a stored message, or None when it is not there (any more)."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as a stream keeps it; nobody waits for an answer to it."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None
    reply: str = ""


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
            await self._jetstream.add_stream(_as_specified(_NEW_STREAM, spec))
            return
        wanted = _as_specified(found, spec)  # an operator's placement stays
        if wanted != found:
            await self._jetstream.update_stream(wanted)

    async def ensure_consumer(self, spec: ConsumerSpec) -> None:
        await self._call(spec.stream, self._ensure_consumer(spec))

    async def _ensure_consumer(self, spec: ConsumerSpec) -> None:
        wanted = _consumer_config(spec)
        try:
            found = await self._jetstream.consumer_info(spec.stream, spec.name)
        except nats.js.errors.NotFoundError:
            await self._jetstream.add_consumer(spec.stream, wanted)
            await self._pause(spec, is_paused=False)
            return
        is_paused = bool(found.paused)
        if _consumer_spec(found) != replace(spec, is_paused=is_paused):
            is_paused = await self._change_consumer(spec, wanted, is_paused=is_paused)
        await self._pause(spec, is_paused=is_paused)

    async def _pause(self, spec: ConsumerSpec, *, is_paused: bool) -> None:
        """Bring a consumer that *is_paused* now to what *spec* says."""
        if spec.is_paused and not is_paused:
            await self._jetstream.pause_consumer(spec.stream, spec.name, _FOR_GOOD)
        elif is_paused and not spec.is_paused:
            await self._jetstream.resume_consumer(spec.stream, spec.name)

    async def _change_consumer(
        self, spec: ConsumerSpec, wanted: ConsumerConfig, *, is_paused: bool
    ) -> bool:
        """Change a consumer, and tell whether it is paused then."""
        try:
            await self._jetstream.add_consumer(spec.stream, wanted)
        except nats.js.errors.BadRequestError:
            # not all can be changed in place; the new one starts now, what was due is not delivered
            await self._jetstream.delete_consumer(spec.stream, spec.name)
            await self._jetstream.add_consumer(spec.stream, wanted)
            return False
        return is_paused

    async def delete_consumer(self, stream: str, name: str) -> None:
        await self._call(stream, self._delete_consumer(stream, name))

    async def _delete_consumer(self, stream: str, name: str) -> None:
        with contextlib.suppress(nats.js.errors.NotFoundError):
            await self._jetstream.delete_consumer(stream, name)

    async def consumers(self, stream: str) -> list[ConsumerSpec]:
        return await self._call(stream, self._consumers(stream))

    async def _consumers(self, stream: str) -> list[ConsumerSpec]:
        found: list[ConsumerInfo] = []
        while page := await self._jetstream.consumers_info(stream, offset=len(found)):
            found.extend(page)
        return [
            _consumer_spec(info)
            for info in found
            if info.config.durable_name and info.config.deliver_subject
        ]

    async def read(self, stream: str, sequence: int) -> Message | None:
        return await self._call(stream, self._read(stream, sequence))

    async def _read(self, stream: str, sequence: int) -> Message | None:
        try:
            found = await self._jetstream.get_msg(stream, sequence)
        except nats.js.errors.NotFoundError as error:
            if error.err_code == _NO_SUCH_MESSAGE:
                return None
            raise
        return StoredMessage(found.subject or "", found.data or b"", found.headers)

    async def _call(self, stream: str, operation: Coroutine[Any, Any, T]) -> T:
        return await self._transport.unless_lost(operation, f"stream {stream!r}")


def _as_specified(config: StreamConfig, spec: StreamSpec) -> StreamConfig:
    return replace(
        config,
        name=spec.name,
        subjects=[spec.subject],
        max_age=spec.max_age,
        max_bytes=spec.max_bytes,
        num_replicas=spec.replicas or config.num_replicas,
        # the broker refuses a window that is longer than the messages live
        duplicate_window=min(_DUPLICATE_WINDOW, spec.max_age or _DUPLICATE_WINDOW),
    )


def _consumer_config(spec: ConsumerSpec) -> ConsumerConfig:
    return ConsumerConfig(
        name=spec.name,
        durable_name=spec.name,
        filter_subject=spec.filter_subject,
        deliver_subject=spec.deliver_subject,
        deliver_group=spec.deliver_group,
        deliver_policy=DeliverPolicy.NEW,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=spec.ack_wait,
        max_deliver=spec.max_deliver,
    )


def _consumer_spec(info: ConsumerInfo) -> ConsumerSpec:
    config = info.config
    return ConsumerSpec(
        stream=info.stream_name,
        name=info.name,
        filter_subject=config.filter_subject or "",
        deliver_subject=config.deliver_subject or "",
        deliver_group=config.deliver_group or "",
        ack_wait=config.ack_wait or 0.0,
        max_deliver=config.max_deliver or 0,
        is_paused=bool(info.paused),
    )
