"""A bucket of versioned keys in memory, raising what the real one raises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hookbus.errors import Disconnected
from hookbus.keyvalue import Entry, check_key, check_value, key_conflict
from hookbus.testing.bucket import Bucket
from hookbus.testing.memory import MemoryBroker, MemoryTransport

log = logging.getLogger("hookbus.testing")


class MemoryKeyValue:
    """A `hookbus.keyvalue.KeyValue` on a `MemoryBroker`: one with the same *bucket* is the same.

    Without a *transport* it is cut off only when the whole broker is.

        bucket = MemoryKeyValue(broker, "hookbus_config")
        revision = await bucket.put("current", b"1")
        await bucket.update("current", b"2", revision)
    """

    def __init__(
        self, broker: MemoryBroker, bucket: str, transport: MemoryTransport | None = None
    ) -> None:
        self._broker = broker
        self._name = bucket
        self._bucket = broker.buckets.setdefault(bucket, Bucket())
        self._transport = transport

    @property
    def is_connected(self) -> bool:
        return self._broker.is_up if self._transport is None else self._transport.is_connected

    async def get(self, key: str) -> Entry | None:
        check_key(self._name, key)
        self._require_connection()
        return self._bucket.get(key)

    async def history(self, key: str) -> list[Entry]:
        check_key(self._name, key)
        self._require_connection()
        return list(self._bucket.versions.get(key, ()))

    async def keys(self) -> list[str]:
        self._require_connection()
        return sorted(self._bucket.values)

    async def put(self, key: str, value: bytes) -> int:
        check_key(self._name, key)
        check_value(value, self._broker.max_payload)
        self._require_connection()
        return self._bucket.put(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        check_key(self._name, key)
        check_value(value, self._broker.max_payload)
        self._require_connection()
        if not self._bucket.is_newest(key, revision):
            raise key_conflict(self._name, key, revision)
        return self._bucket.put(key, value)

    async def delete(self, key: str, revision: int = 0) -> None:
        check_key(self._name, key)
        self._require_connection()
        if revision and not self._bucket.is_newest(key, revision):
            raise key_conflict(self._name, key, revision)
        self._bucket.delete(key)

    async def watch(self, key: str, callback: Callable[[Entry], None]) -> MemoryWatch:
        check_key(self._name, key)
        self._require_connection()
        watch = MemoryWatch(self, self._bucket, key, callback)
        on_reconnect = (self._transport or self._broker).on_reconnect
        on_reconnect(watch.catch_up)
        watch.catch_up()
        await asyncio.sleep(0)  # the first version is handed over before the caller goes on
        return watch

    def _require_connection(self) -> None:
        if not self.is_connected:
            raise Disconnected(
                f"bucket {self._name!r}: the connection to the broker in memory is down"
            )


class MemoryWatch:
    """A running watch of one key."""

    def __init__(
        self, store: MemoryKeyValue, bucket: Bucket, key: str, callback: Callable[[Entry], None]
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._callback = callback
        self._seen = 0  # revision
        bucket.on_write.append(self._on_write)

    async def stop(self) -> None:
        if self._on_write in self._bucket.on_write:
            self._bucket.on_write.remove(self._on_write)

    def catch_up(self) -> None:
        """Hand over the newest version, if it is a missed one."""
        newest = self._bucket.get(self._key)
        if newest is not None and self._on_write in self._bucket.on_write:
            self._on_write(self._key, newest)

    def _on_write(self, key: str, entry: Entry) -> None:
        if key == self._key:
            asyncio.get_running_loop().call_soon(self._hand_over, entry)

    def _hand_over(self, entry: Entry) -> None:
        is_running = self._on_write in self._bucket.on_write
        if not is_running or not self._store.is_connected or entry.revision <= self._seen:
            return
        self._seen = entry.revision
        try:
            self._callback(entry)
        except Exception:
            log.exception("callback of the watch of key %r failed", self._key)
