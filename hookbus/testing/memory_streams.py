"""Streams of a broker in memory, raising what the real ones raise."""

from __future__ import annotations

from collections import Counter

from hookbus.errors import Disconnected, TransportError
from hookbus.streams import ConsumerSpec, Extent, Place, StoredMessage, StreamSpec
from hookbus.subjects import type_matches
from hookbus.testing.jetstream import Stream
from hookbus.testing.memory import MemoryBroker, MemoryTransport


class MemoryStreams:
    """A `hookbus.streams.Streams` on a `MemoryBroker`.

    Without a *transport* it is cut off only when the whole broker is.

        streams = MemoryStreams(broker)
        await streams.ensure_stream(StreamSpec("ORDERS", "orders.>", max_age=60, max_bytes=1024))
        reply = await transport.request("orders.new", b"1", timeout=1.0)  # {"stream": …, "seq": 1}
    """

    def __init__(self, broker: MemoryBroker, transport: MemoryTransport | None = None) -> None:
        self._broker = broker
        self._transport = transport

    async def ensure_stream(self, spec: StreamSpec) -> None:
        self._require_connection(f"stream {spec.name!r}")
        streams = self._broker.jetstream.streams
        if spec.name in streams:
            streams[spec.name].spec = spec
        else:
            streams[spec.name] = Stream(spec)

    async def ensure_consumer(self, spec: ConsumerSpec) -> None:
        self._require_stream(spec.stream)
        self._broker.jetstream.set_consumer(spec)

    async def delete_consumer(self, stream: str, name: str) -> None:
        self._require_connection(f"stream {stream!r}")
        self._broker.jetstream.delete_consumer(stream, name)

    async def consumers(self, stream: str) -> list[ConsumerSpec]:
        self._require_stream(stream)
        return [
            consumer.spec
            for consumer in self._broker.jetstream.consumers.values()
            if consumer.spec.stream == stream
        ]

    async def restart_consumer(self, spec: ConsumerSpec) -> None:
        await self.delete_consumer(spec.stream, spec.name)
        await self.ensure_consumer(spec)

    async def places(self, stream: str) -> dict[str, Place]:
        self._require_stream(stream)
        consumers = self._broker.jetstream.consumers.values()
        return {
            consumer.spec.name: Place(
                consumer.created,
                min(consumer.deliveries, default=consumer.place + 1),
                consumer.place,
                sum(sequence not in consumer.deliveries for sequence in consumer.due),
                len(consumer.deliveries),
            )
            for consumer in consumers
            if consumer.spec.stream == stream
        }

    async def place(self, stream: str, name: str) -> Place | None:
        return (await self.places(stream)).get(name)

    async def is_there(self, stream: str) -> bool:
        return stream in self._broker.jetstream.streams

    async def extent(self, stream: str, subject: str = "") -> Extent:
        messages = self._require_stream(stream).messages
        first = next((m.sequence for m in messages if m is not None), len(messages) + 1)
        counted = Counter(m.subject for m in messages if m and type_matches(subject, m.subject))
        return Extent(first, len(messages), counted)

    async def read(self, stream: str, sequence: int) -> StoredMessage | None:
        messages = self._require_stream(stream).messages
        return messages[sequence - 1] if 0 < sequence <= len(messages) else None

    async def find(self, stream: str, start: int, *subjects: str) -> StoredMessage | None:
        messages = filter(None, self._require_stream(stream).messages[max(0, start - 1) :])
        fitting = (m for m in messages if any(type_matches(s, m.subject) for s in subjects))
        return next(fitting, None)

    async def count(self, stream: str, start: int, *subjects: str) -> int:
        messages = filter(None, self._require_stream(stream).messages[max(0, start - 1) :])
        return sum(any(type_matches(s, m.subject) for s in subjects) for m in messages)

    async def delete(self, stream: str, sequence: int) -> None:
        messages = self._require_stream(stream).messages
        if 0 < sequence <= len(messages):
            messages[sequence - 1] = None

    def _require_stream(self, name: str) -> Stream:
        self._require_connection(f"stream {name!r}")
        stream = self._broker.jetstream.streams.get(name)
        if stream is None:
            raise TransportError(f"stream {name!r}: stream not found")
        return stream

    def _require_connection(self, what: str) -> None:
        connection = self._transport
        if not (self._broker.is_up if connection is None else connection.is_connected):
            raise Disconnected(f"{what}: the connection to the broker in memory is down")
