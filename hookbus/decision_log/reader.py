"""Reading a stream of the broker from a place in it, with no more than a viewer's rights.

Consumers that need acknowledgements, pulling or flow control need rights to publish; so this reads
in windows: an ephemeral consumer each, and a subscription that the broker ends by itself after a
number of messages. Whoever is slow is never sent more than one window ahead.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from hookbus import subjects
from hookbus.errors import NoResponders, RequestTimeout, TransportError
from hookbus.message import Message
from hookbus.transport import JETSTREAM_TIMEOUT, NatsTransport

FIRST_WINDOW: Final = 256  # messages; who looks for one record finds it early …
WINDOW: Final = 16_384  # … and who reads on is sent more at once
WINDOW_BYTES: Final = 16 * 1024 * 1024  # a broker drops who has 64 MiB waiting
SILENCE: Final = 3.0  # seconds; then it is asked again what there is
MAX_SILENCES: Final = 3  # in a row
INACTIVE_AFTER: Final = 5.0  # seconds until the broker forgets a window's consumer

_NO_SUCH_STREAM: Final = 10059
_NANOSECONDS: Final = 1_000_000_000

#: Gets one message, and tells whether that is enough.
Take = Callable[["Stored"], bool]


class Stored(NamedTuple):
    """One message of a stream; *stored_ns* is the broker's clock, in ns since the epoch."""

    sequence: int
    stored_ns: int
    subject: str
    data: bytes

    @property
    def stored_at(self) -> datetime:
        return datetime.fromtimestamp(self.stored_ns / _NANOSECONDS, UTC)


class Extent(msgspec.Struct, frozen=True):
    """What a stream holds; of an empty one, *first* is the sequence that comes next.

    Attributes:
        since, until: when the first and the last message were stored; None when there is none.
        now: the broker's clock; None of a nats-server before 2.10.
    """

    messages: int
    bytes: int
    first: int
    last: int
    since: datetime | None = None
    until: datetime | None = None
    now: datetime | None = None

    @property
    def described(self) -> str:
        """``the stream holds 12 records, from 2026-11-21T10:00:00Z to 2026-11-21T11:00:00Z``"""
        if self.since is None or self.until is None:
            return "the stream holds no record"
        return (
            f"the stream holds {self.messages} record{'s' if self.messages > 1 else ''},"
            f" from {stamp(self.since)} to {stamp(self.until)}"
        )


class StreamReader(Protocol):
    """A stream that can be read."""

    async def extent(self) -> Extent:
        """Tell what the stream holds now.

        Raises:
            TransportError: There is no such stream, no JetStream, or no permission.
        """

    async def read(
        self,
        start: int | datetime,
        take: Take,
        *,
        until: int | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """Hand every message to *take*, in order, until it says enough, or none is left.

        Args:
            start: a sequence, or a moment on the broker's clock.
            until: the last sequence that is handed over.
            only: subjects, with wildcards; all if none is named.

        Raises:
            TransportError: As :meth:`extent`, or the connection was lost.
        """


def stamp(moment: datetime) -> str:
    """``2026-11-21T10:00:00Z``"""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _State(msgspec.Struct):
    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    first_ts: str
    last_ts: str


class NatsStreamReader:
    """A JetStream stream. Its API is spoken directly: a denial is told at once, and named."""

    def __init__(self, transport: NatsTransport, stream: str) -> None:
        self._transport = transport
        self._stream = stream
        self._most = WINDOW

    async def extent(self) -> Extent:
        answer = await self._ask(subjects.stream_info(self._stream), {})
        state = msgspec.convert(answer["state"], _State)
        if state.messages:
            self._most = max(1, min(WINDOW, WINDOW_BYTES * state.messages // state.bytes))
        return Extent(
            state.messages,
            state.bytes,
            state.first_seq,
            state.last_seq,
            datetime.fromisoformat(state.first_ts) if state.messages else None,
            datetime.fromisoformat(state.last_ts) if state.messages else None,
            datetime.fromisoformat(answer["ts"]) if "ts" in answer else None,
        )

    async def read(
        self,
        start: int | datetime,
        take: Take,
        *,
        until: int | None = None,
        only: Sequence[str] = (),
    ) -> None:
        size, silences = min(FIRST_WINDOW, self._most), 0
        while True:
            window = _Window(take, until)
            inbox = self._transport.new_inbox()
            subscription = await self._transport.receive_some(inbox, window.on_message, size)
            try:
                window.size = min(size, await self._deliver(inbox, start, only))
                await self._transport.unless_lost(window.wait(), f"stream {self._stream!r}")
            finally:
                with suppress(TransportError):
                    await subscription.drain()
            if window.is_over:
                return
            silences = 0 if window.count else silences + 1
            if silences == MAX_SILENCES:
                raise RequestTimeout(
                    f"stream {self._stream!r}: {window.size} records wait, and none comes;"
                    " may this principal subscribe to its own inbox?"
                )
            start = window.next or start
            size = min(size * 4, self._most)

    async def _deliver(self, inbox: str, start: int | datetime, only: Sequence[str]) -> int:
        """Let the broker send to *inbox* from *start* on; return how many messages there are."""
        name = secrets.token_hex(8)
        config: dict[str, Any] = {
            "name": name,
            "deliver_subject": inbox,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": int(INACTIVE_AFTER * _NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if isinstance(start, int):
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, start)}
        else:
            config |= {"deliver_policy": "by_start_time", "opt_start_time": start.isoformat()}
        if only:
            config["filter_subjects"] = list(only)
        request = {"stream_name": self._stream, "config": config, "action": "create"}
        answer = await self._ask(subjects.create_consumer(self._stream, name), request)
        return int(answer["num_pending"]) + int(answer["delivered"]["consumer_seq"])

    async def _ask(self, subject: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask JetStream's API."""
        what = f"stream {self._stream!r}"
        body = msgspec.json.encode(request) if request else b""
        try:
            reply = await self._transport.request(subject, body, timeout=JETSTREAM_TIMEOUT)
        except NoResponders as e:
            raise NoResponders(f"{what}: nothing answers; is JetStream on?") from e
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        error = answer.get("error")
        if error is None:
            return answer
        if error.get("err_code") == _NO_SUCH_STREAM:
            raise TransportError(
                f"there is no {what}: the registry makes it; is 'hookbus up' or"
                " 'hookbus serve registry' running?"
            )
        raise TransportError(f"{what}: {error.get('description', error)}")


class _Window:
    """Some messages of a stream, as they come."""

    def __init__(self, take: Take, until: int | None) -> None:
        self._take = take
        self._until = until
        self._done = asyncio.Event()
        self._error: BaseException | None = None
        self.size = 0
        self.count = 0
        self.next = 0  # the sequence to read on from; 0 before the first message
        self.is_over = False

    def on_message(self, message: Message) -> None:
        if self.is_over or not message.reply.startswith(subjects.JETSTREAM_ACK):
            return
        sequence, nanoseconds, pending = subjects.delivery(message.reply)
        if self._until is not None and sequence > self._until:
            self._end()
            return
        self.count += 1
        self.next = sequence + 1
        stored = Stored(sequence, nanoseconds, message.subject, message.data)
        try:
            is_enough = self._take(stored)
        except (Exception, SystemExit) as e:  # the connection would only log it, or end by it
            self._error, is_enough = e, True
        if is_enough or pending == 0 or self._until == sequence:
            self._end()
        elif self.count == self.size:
            self._done.set()

    def _end(self) -> None:
        self.is_over = True
        self._done.set()

    async def wait(self) -> None:
        """Return when the window is full, the end is reached, or nothing comes any more."""
        if not self.size:
            self._end()
        before = -1
        while before < self.count < self.size and not self.is_over:
            before = self.count
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), SILENCE)
        if self._error is not None:
            raise self._error
