"""Versioned keys in a bucket: the KeyValue protocol, and NATS KV as one of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, KeyValueConfig
from nats.js.kv import KeyValue as Bucket

from hookbus import subjects
from hookbus.errors import Disconnected, KeyConflict, PayloadTooLarge, TransportError
from hookbus.message import Message
from hookbus.transport import NatsTransport, Subscription

log = logging.getLogger("hookbus.keyvalue")

T = TypeVar("T")

#: Bytes that the headers of a conditional write take of the broker's max_payload.
WRITE_HEADER_BYTES: Final = 128
_DELETION_HEADERS: Final = frozenset({"KV-Operation", "Nats-Marker-Reason"})
_WRONG_LAST_SEQUENCE: Final = 10071  # the API's err_code
_KEY: Final = re.compile(r"[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*")

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

    async def history(self, key: str) -> list[Entry]:
        """Return the versions that are still kept, the oldest first; deletions are left out."""

    async def keys(self) -> list[str]: ...

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there before; return the new revision."""

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write only if the newest revision is *revision* (0: only if there is none).

        Raises:
            KeyConflict: Another writer was first.
        """

    async def delete(self, key: str, revision: int = 0) -> None:
        """Delete the key; with *revision* only if that is the newest one.

        Raises:
            KeyConflict: Another writer was first.
        """

    async def watch(self, key: str, callback: Callable[[Entry], None]) -> Watch:
        """Call *callback* with the newest version now, if there is one, and with each later one.

        The first call is made before this returns. After a lost connection the newest version is
        handed over again only if it is another one.
        """


def check_key(bucket: str, key: str) -> None:
    """Refuse what cannot name a key: the empty string, white space, wildcards.

    Raises:
        TransportError: *key* is not one.
    """
    if not _KEY.fullmatch(key):
        raise TransportError(f"bucket {bucket!r}: expected a key, got {key!r}")


def check_value(value: bytes, max_payload: int) -> None:
    """Refuse a value that the broker would not take.

    Raises:
        PayloadTooLarge: The headers of the write are counted in.
    """
    if len(value) + WRITE_HEADER_BYTES > max_payload:
        raise PayloadTooLarge(len(value) + WRITE_HEADER_BYTES, max_payload)


def key_conflict(bucket: str, key: str, revision: int) -> KeyConflict:
    expected = f"revision {revision} to be the newest" if revision else "no value yet"
    return KeyConflict(
        f"bucket {bucket!r}: key {key!r}: expected {expected}, found another; read it again"
    )


class NatsKeyValue:
    """One NATS KV bucket. All reads go to the leader: a direct read may be an old version.

    Every method raises `Disconnected` or another `TransportError`, which names the bucket.
    """

    def __init__(self, transport: NatsTransport, name: str, bucket: Bucket) -> None:
        """Wrap only: use `open`."""
        self._transport = transport
        self._jetstream = transport.jetstream
        self._name = name
        self._bucket = bucket

    @classmethod
    async def open(
        cls,
        transport: NatsTransport,
        bucket: str,
        *,
        create: bool = True,
        history: int = 1,
        replicas: int | None = None,
    ) -> NatsKeyValue:
        """Find the bucket, or make it; change it until it has *history* versions a key or more.

        *replicas* None leaves those that there are; a new bucket has one.

        Raises:
            TransportError: There is none, and *create* is false; or the cluster has fewer servers
                than *replicas*.
        """
        opened = (
            _find_or_create(transport, bucket, history, replicas)
            if create
            else _find(transport, bucket)
        )
        return cls(transport, bucket, await transport.unless_lost(opened, f"bucket {bucket!r}"))

    async def get(self, key: str) -> Entry | None:
        check_key(self._name, key)
        return await self._call(self._get(key))

    async def _get(self, key: str) -> Entry | None:
        # not nats-py's KeyValue.get: after an expiry it returns an entry without a value
        try:
            found = await self._jetstream.get_msg(
                f"KV_{self._name}", subject=f"$KV.{self._name}.{key}"
            )
        except nats.js.errors.NotFoundError:
            return None
        if _is_deletion(found.headers):
            return None
        return Entry(found.data or b"", found.seq or 0)

    async def history(self, key: str) -> list[Entry]:
        check_key(self._name, key)
        return await self._call(self._history(key))

    async def _history(self, key: str) -> list[Entry]:
        # without a consumer: nats-py's own history makes one, and waits for it to fall silent
        found: list[Entry] = []
        revision = 0
        while True:
            try:
                message = await self._jetstream.get_msg(
                    f"KV_{self._name}",
                    seq=revision + 1,
                    subject=f"$KV.{self._name}.{key}",
                    next=True,
                )
            except nats.js.errors.NotFoundError:
                return found
            revision = message.seq or 0
            if not _is_deletion(message.headers):
                found.append(Entry(message.data or b"", revision))

    async def keys(self) -> list[str]:
        return await self._call(self._keys())

    async def _keys(self) -> list[str]:
        prefix = f"$KV.{self._name}."
        info = await self._jetstream.stream_info(f"KV_{self._name}", subjects_filter=f"{prefix}>")
        written = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or ())
        # a deleted key is still listed; buckets are small
        return [key for key in written if await self._get(key) is not None]

    async def put(self, key: str, value: bytes) -> int:
        check_key(self._name, key)
        check_value(value, self._transport.max_payload)
        return await self._call(self._bucket.put(key, value))

    async def update(self, key: str, value: bytes, revision: int) -> int:
        check_key(self._name, key)
        check_value(value, self._transport.max_payload)
        return await self._call(self._update(key, value, revision))

    async def _update(self, key: str, value: bytes, revision: int) -> int:
        try:
            if revision == 0:
                return await self._bucket.create(key, value)  # also over a deleted one
            return await self._bucket.update(key, value, last=revision)
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise key_conflict(self._name, key, revision) from error

    async def delete(self, key: str, revision: int = 0) -> None:
        check_key(self._name, key)
        await self._call(self._delete(key, revision))

    async def _delete(self, key: str, revision: int) -> None:
        try:
            await self._bucket.delete(key, last=revision or None)
        except nats.js.errors.APIError as error:
            if error.err_code != _WRONG_LAST_SEQUENCE:
                raise
            raise key_conflict(self._name, key, revision) from error

    async def watch(self, key: str, callback: Callable[[Entry], None]) -> NatsWatch:
        check_key(self._name, key)
        watch = NatsWatch(self._transport, self, key, callback)
        await watch.start()
        return watch

    async def _call(self, operation: Coroutine[Any, Any, T]) -> T:
        return await self._transport.unless_lost(operation, f"bucket {self._name!r}")

    async def listen(self, key: str, inbox: str) -> str:
        """Let the broker send the versions from now on to *inbox*; return the consumer's name."""
        config = ConsumerConfig(
            filter_subject=f"$KV.{self._name}.{key}",
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.NONE,
            idle_heartbeat=HEARTBEAT,
            inactive_threshold=INACTIVE_AFTER,
            mem_storage=True,
            num_replicas=1,
        )
        made = await self._call(self._jetstream.add_consumer(f"KV_{self._name}", config))
        return made.name

    async def stop_listening(self, name: str) -> None:
        await self._call(self._jetstream.delete_consumer(f"KV_{self._name}", name))


class NatsWatch:
    """A watch of one key that outlives lost connections and restarts of the broker.

    nats-py's own watch notices them only after two missed heartbeats, or not at all.
    """

    def __init__(
        self,
        transport: NatsTransport,
        bucket: NatsKeyValue,
        key: str,
        callback: Callable[[Entry], None],
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._key = key
        self._callback = callback
        self._seen = 0  # the revision that was handed over last …
        self._floor = 0  # … and the newest one since the last begin: a new bucket counts from 1
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._again = asyncio.Event()
        self._silence: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self._transport.on_reconnect(self._again.set)

    async def stop(self) -> None:
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        self._keeper = None
        await self._end()

    async def _keep(self) -> None:
        """Begin anew after every loss, until it works."""
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                await self._end()
                await self._begin()
            except Disconnected:
                continue  # the reconnect sets it again
            except TransportError as error:
                log.warning("watch of key %r: %s; trying again", self._key, error)
                await asyncio.sleep(RETRY_WAIT)  # JetStream comes up later than the port
                self._again.set()

    async def _begin(self) -> None:
        self._floor = 0
        inbox = self._transport.new_inbox()
        self._subscription = await self._transport.subscribe(inbox, self._on_message)
        self._consumer = await self._bucket.listen(self._key, inbox)
        self._expect_heartbeat()
        newest = await self._bucket.get(self._key)
        if newest is not None:
            self._hand_over(newest)

    async def _end(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        if self._subscription is not None:
            await self._subscription.drain()
            self._subscription = None
        if self._consumer:
            with contextlib.suppress(TransportError):  # the broker forgets it by itself
                await self._bucket.stop_listening(self._consumer)
            self._consumer = ""

    def _expect_heartbeat(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(2.5 * HEARTBEAT, self._again.set)

    def _on_message(self, message: Message) -> None:
        self._expect_heartbeat()
        if not message.reply.startswith(subjects.JETSTREAM_ACK):
            return  # a heartbeat
        revision, _, _ = subjects.delivery(message.reply)
        if not _is_deletion(message.headers):
            self._hand_over(Entry(message.data, revision))

    def _hand_over(self, entry: Entry) -> None:
        if entry.revision <= self._floor:
            return
        self._floor = entry.revision
        if entry.revision == self._seen:
            return
        self._seen = entry.revision
        try:
            self._callback(entry)
        except Exception:
            log.exception("callback of the watch of key %r failed", self._key)


async def _find(transport: NatsTransport, bucket: str) -> Bucket:
    return await transport.jetstream.key_value(bucket)


async def _find_or_create(
    transport: NatsTransport, bucket: str, history: int, replicas: int | None
) -> Bucket:
    jetstream = transport.jetstream
    try:
        found = await _find(transport, bucket)
    except nats.js.errors.BucketNotFoundError:
        config = KeyValueConfig(
            bucket=bucket, history=history, direct=False, replicas=replicas or 1
        )
        return await jetstream.create_key_value(config)
    stream = (await jetstream.stream_info(f"KV_{bucket}")).config
    wanted = stream.evolve(
        # an earlier version of the bus made it with fewer
        max_msgs_per_subject=max(stream.max_msgs_per_subject or 0, history),
        num_replicas=replicas or stream.num_replicas,
    )
    if wanted != stream:
        await jetstream.update_stream(wanted)
    return found


def _is_deletion(headers: Mapping[str, str] | None) -> bool:
    """Tell a deleted, purged or expired key (nats-server 2.11 writes a marker) from a value."""
    return headers is not None and not headers.keys().isdisjoint(_DELETION_HEADERS)
