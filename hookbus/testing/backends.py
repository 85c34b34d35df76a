"""What a bus for tests stands on: a broker in memory, or a real nats-server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from hookbus.broker import EmbeddedBroker
from hookbus.keyvalue import KeyValue, NatsKeyValue
from hookbus.streams import NatsStreams, Streams
from hookbus.subjects import ANONYMOUS
from hookbus.testing.memory import MemoryBroker, MemoryTransport
from hookbus.testing.memory_keyvalue import MemoryKeyValue
from hookbus.testing.memory_streams import MemoryStreams
from hookbus.transport import NatsTransport, Transport

HISTORY = 64  # versions of a key, as the registry has them
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024


class Backend(Protocol):
    """A broker, and what connects to it."""

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        """Connect; *denied* subjects only a broker in memory can refuse."""

    async def bucket(self, transport: Transport, name: str) -> KeyValue:
        """Open a bucket, which is made if need be."""

    def streams(self, transport: Transport) -> Streams:
        """Give the streams as *transport* reaches them."""


class MemoryBackend:
    """Everything in memory; on a loop with virtual time all times are exact."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(max_payload=MAX_PAYLOAD_BYTES)

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        return MemoryTransport(self.broker, principal=principal, denied=denied)

    async def bucket(self, transport: Transport, name: str) -> KeyValue:
        return MemoryKeyValue(self.broker, name, cast(MemoryTransport, transport))

    def streams(self, transport: Transport) -> Streams:
        return MemoryStreams(self.broker, cast(MemoryTransport, transport))

    def cut(self, transport: Transport) -> None:
        """Break one connection."""
        self.broker.disconnect(cast(MemoryTransport, transport))

    def mend(self, transport: Transport) -> None:
        """Bring it back."""
        self.broker.reconnect(cast(MemoryTransport, transport))


class NatsBackend:
    """The real nats-server, which is the caller's to start and to stop."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker

    async def connect(
        self, principal: str = ANONYMOUS, *, can_cut: bool = False, denied: Sequence[str] = ()
    ) -> Transport:
        return await NatsTransport.connect(self.broker.url, principal=principal)

    async def bucket(self, transport: Transport, name: str) -> KeyValue:
        return await NatsKeyValue.open(cast(NatsTransport, transport), name, history=HISTORY)

    def streams(self, transport: Transport) -> Streams:
        return NatsStreams(cast(NatsTransport, transport))
