"""Versioned keys in a bucket: the KeyValue protocol, and NATS KV as one of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    KeyValueConfig,
)
from nats.js.kv import KeyValue as CoreKeyValue

from hookbus.errors import HookbusError, KeyConflict, PayloadTooLarge, TransportError
from hookbus.message import Message
from hookbus.transport import NatsTransport, Subscription

log = logging.getLogger("hookbus.keyvalue")

T = TypeVar("T")

HEARTBEAT: Final = 5.0  # seconds; two missed ones, and a watch starts anew
RETRY_WAIT: Final = 0.25  # seconds between two attempts to watch again
INACTIVE_AFTER: Final = 60.0  # seconds until the broker forgets the consumer of a lost watch


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one key; *revision* grows with every write to the bucket."""

    value: bytes
    revision: int


class Watch(Protocol):
    """A running watch."""

    async def stop(self) -> None: ...


class KeyValue(Protocol):
    """One bucket of versioned keys."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest version, or None when there is none or it was deleted."""

    async def keys(self) -> list[str]: ...

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there before; return the new revision."""

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write only if the newest revision is *revision* (0: only if there is none).

        Raises:
            KeyConflict: Another writer was first.
        """

    async def delete(self, key: str) -> None: ...

    async def watch(self, key: str, callback: Callable[[Entry], None]) -> Watch:
        """Call *callback* with the newest version now, if there is one, and with each later one.

        The first call is made before this returns. After a lost connection the newest version is
        handed over again only if it is another one.
        """
