"""The nats-py client with what is wrong in it mended, and its errors in hookbus' words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol.parser import PERMISSIONS_ERR, STALE_CONNECTION

from hookbus.broker_needs import MAKE_ROOM, MORE_SERVERS, jetstream_problem
from hookbus.connect_errors import NO_TLS
from hookbus.errors import Disconnected, NoResponders, RequestTimeout, TransportError
from hookbus.message import MessageCallback, is_one_word
from hookbus.nats_parser import Received, ShortParser, hand_over
from hookbus.nats_socket import Socket

#: JetStream's error codes for memory, storage and the account's limits that do not suffice.
_NO_ROOM: Final = (10002, 10023, 10028, 10047)
#: … and for more replicas than the broker, or its cluster, has servers.
_TOO_FEW_SERVERS: Final = (10005, 10074)

#: Seconds between pings, and how many may be unanswered: a broker that hangs, or a link that
#: swallows all, is noticed after three. One ping costs 30 µs.
PINGS: Final[dict[str, Any]] = {"ping_interval": 1, "max_outstanding_pings": 2}

_END: Final = b"\r\n"
_MAX_WORDS: Final = 1024  # subjects

_WEB_SOCKETS: Final = ("ws", "wss")

#: A ping that is so many seconds late says that the process was stopped, or its loop not free.
STALLED: Final = 1.0

log = logging.getLogger(__name__)


class NatsClient(Client):
    """nats-py 2.16's client; every override says what it is for."""

    _ps: ShortParser

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[str, MessageCallback] = {}  # by the number as it stands in a line
        self._ps = ShortParser(self, self._receivers)
        self._feed = self._ps.feed
        self._seed_of: Callable[[], str] | None = None
        self._words: set[str] = set()  # subjects that need no further look
        self._is_write_due = False  # in this tick
        self._heard = 0  # reads, until the last ping
        self._pinged = 0.0  # when, by the loop's clock; 0 before the first of a connection

    async def open(self, *, seed_of: Callable[[], str] | None = None, **options: Any) -> None:
        """Connect as nats-py's `connect` does; *seed_of* gives the NKey seed.

        It is asked for each connection, also for those that replace a lost one: a key that was
        rotated meanwhile is the one to come back with.
        """
        self._seed_of = seed_of
        if seed_of is not None:
            options["nkeys_seed_str"] = seed_of()
        await self.connect(**options)
        # an attempt to come back that a silent link, or a broker that hangs, has swallowed must not
        # hold up the next one for long
        self.options["connect_timeout"] /= 2

    async def _connect_to_server(self, server: Srv) -> None:
        self._pinged = 0.0
        self.abort()  # of an attempt that was refused: nats-py forgets the socket
        task = self._reconnection_task
        if task is not None and task.cancelling() and task is asyncio.current_task():
            # Python 3.11's wait_for loses a cancellation that comes just as an attempt fails, and
            # a client that is closed meanwhile would go on trying for ever
            raise asyncio.CancelledError
        if self._transport is None and server.uri.scheme not in _WEB_SOCKETS:
            self._transport = Socket(self._feed)
        await super()._connect_to_server(server)

    def _connect_command(self) -> bytes:
        if self._seed_of is not None:
            self._nkeys_seed_str = self._seed_of()
            self._setup_nkeys_connect()
        command: bytes = super()._connect_command()
        return command

    async def receive(self, subject: str, queue: str, callback: MessageCallback) -> Subscription:
        """Subscribe, with a callback that is called while the socket is read.

        nats-py hands each message over a queue to a task of the subscription, which was half of
        what a message cost. There is no queue here that could grow, or drop: who reads slowly is
        sent slowly.
        """

        async def deliver(message: Any) -> None:
            hand_over(message, callback)

        subscription = await self.subscribe(subject, queue=queue, cb=deliver)
        self._receivers[str(subscription._id)] = callback
        return subscription

    async def stop_receiving(self, subscription: Subscription) -> None:
        """Unsubscribe; what still comes is dropped."""
        self._receivers.pop(str(subscription._id), None)
        await subscription.unsubscribe()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        callback = self._receivers.get(str(sid))
        if callback is None:  # JetStream's, or not subscribed any more
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        given = await self._process_headers(headers)
        try:
            message = Received(subject.decode(), reply.decode(), data, given)
        except UnicodeDecodeError:  # the broker routes any bytes
            return
        hand_over(message, callback)

    def send(self, subject: str, data: bytes, reply: str, headers: bytes = b"") -> bool:
        """Publish: what nats-py's `publish` does, in a fifth of its time.

        *headers* as `hookbus.message.encode_headers` writes them. False says that more than
        `pending_size` waits for a slow broker: `wait_for_room` before the next.
        """
        if subject not in self._words:
            self._check(subject, reply)
        if reply and not is_one_word(reply):
            raise nats.errors.BadSubjectError
        size = len(headers) + len(data)
        if size > self._max_payload:
            raise nats.errors.MaxPayloadError
        # in parts: a body of 1 KB is copied once, with all that the tick writes
        if type(data) is not bytes:  # a text would spoil that, a bytearray may change until then
            data = bytes(data)
        if headers:
            line = f"HPUB {subject} {reply} {len(headers)} {size}\r\n".encode()
            self._pending += (line, headers, data, _END)
        else:
            line = f"PUB {subject} {reply} {size}\r\n".encode()
            self._pending += (line, data, _END)
        waiting = self._pending_data_size = self._pending_data_size + len(line) + size + 2
        if not self._is_write_due:  # the first in this tick
            self._is_write_due = True
            asyncio.get_running_loop().call_soon(self._write_pending)
        return not waiting > self._max_pending_size > 0

    def _check(self, subject: str, reply: str) -> None:
        """Refuse what is no subject, and remember one that answers are asked for on.

        Calls, records and emits go to few subjects again and again; an answer's is like no other.
        """
        if not subject or not is_one_word(subject):
            raise nats.errors.BadSubjectError
        if reply and len(self._words) < _MAX_WORDS:
            self._words.add(subject)

    async def wait_for_room(self) -> None:
        """Wait until a slow broker has taken what is pending, at most `flush_timeout` seconds."""
        await self._flush_pending(force_flush=True)

    def _write_pending(self) -> None:
        """Write what a tick has published, all at once.

        nats-py wakes a task for it, with a future and a queue: 9 µs a tick, and a coroutine for
        each message. That task goes on writing where the socket is slow: it knows how to wait.
        """
        self._is_write_due = False
        if not self._pending or not self.is_connected:
            return  # what a lost connection leaves is forgotten, and a closing one writes it itself
        if isinstance(self._transport, Socket) and self._transport.write_at_once(self._pending):
            self._pending.clear()
            self._pending_data_size = 0
        elif self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        # nats-py takes nothing but a PONG for a sign of life; under load that stands behind all
        # that is not read yet, and whoever has much to do would leave a broker that is well
        if self._heard != self._ps.reads:
            self._heard = self._ps.reads
            self._pings_outstanding = min(self._pings_outstanding, 1)
        if future is None:  # the regular one, and not a flush
            now = asyncio.get_running_loop().time()
            late = now - self._pinged - self.options["ping_interval"]
            stood_still = self._pinged and late > STALLED
            self._pinged = now
            if stood_still and self._reconnected_cb is not None:
                log.warning("this process stood still for %.1f s", late)
                await self._reconnected_cb()
        await super()._send_ping(future)

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:
        """Return once the broker has processed everything that was sent before."""
        # nats-py 2.16 writes the PING of flush() ahead of what is still in its buffer, so the first
        # PONG proves nothing; by then the buffer has left, and the second PING follows it
        await super().flush(timeout)
        await super().flush(timeout)

    async def close(self) -> None:
        """Close in every state, also when connecting had not even begun."""
        if self._flush_queue is None:
            return
        if not self.is_connected:
            self.discard_unsent()  # nats-py would write it to the dead socket, and stop halfway
        await super().close()

    async def stop_routing(self, subscription: Subscription) -> None:
        """Tell the broker to send no more for *subscription*, which still takes what is coming."""
        await self._send_unsubscribe(subscription._id)

    async def limit(self, subscription: Subscription, messages: int) -> None:
        """Let the broker forget *subscription* once it has sent that many messages for it."""
        await self._send_unsubscribe(subscription._id, messages)

    def discard_unsent(self) -> None:
        """Forget what waits in the buffer: nats-py would send it, stale, after the reconnect.

        Subscriptions are not lost by it, they are restored from another place.
        """
        self._pending.clear()
        self._pending_data_size = 0

    def abort(self, *, for_good: bool = False) -> None:
        """Drop the socket and all that waits to be sent: a broker that hangs never takes it.

        *for_good* where nothing was ever connected: `close` would wait for ever for a socket whose
        TLS handshake failed, because asyncio put the reader of TLS in the place of its own.
        """
        self.discard_unsent()
        if isinstance(self._transport, Socket):
            self._transport.abort()
        if for_good:
            self._transport = None

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if not headers:
            return None
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            # out of nats-py's read loop it would be: one bad line of anybody's, and this connection
            # is deaf until the broker is found stale. A Status that is none is no answer of anyone
            return {"Status": ""}

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:
            self._require_tls(info)
        await super()._process_info(info, initial_connection)

    def _require_tls(self, info: dict[str, Any]) -> None:
        """Never speak in the clear where TLS was asked for.

        nats-py 2.16 begins TLS only where the server requires it: with ``tls://``, or a context, it
        would send credentials and events as they are to a server that does not.
        """
        server = self._current_server
        is_asked_for = "tls" in self.options or (server is not None and server.uri.scheme == "tls")
        if not is_asked_for or self.options["tls_handshake_first"] or info.get("tls_required"):
            return
        if not info.get("tls_available"):
            raise nats.errors.Error(NO_TLS)
        info["tls_required"] = True

    def _build_message(
        self,
        sid: int,
        subject: bytes,
        reply: bytes,
        data: bytes,
        headers: dict[str, str] | None,
    ) -> Msg | None:
        try:
            message: Msg = super()._build_message(sid, subject, reply, data, headers)
        except UnicodeDecodeError:  # the broker routes any bytes; this too would end the read loop
            return None
        return message

    async def _process_op_err(self, e: Exception) -> None:
        if not self.is_closed and not self.is_reconnecting:
            self.abort()  # nats-py would wait for the socket to close, for ever if the broker hangs
        await super()._process_op_err(e)

    async def _process_err(self, err_msg: str) -> None:
        if STALE_CONNECTION in err_msg:
            await super()._process_err(err_msg)
            return
        error = nats.errors.Error(self._as_the_broker_wrote_it(err_msg).strip("'"))
        self._err = error
        await self._error_cb(error)
        if PERMISSIONS_ERR not in err_msg:
            # an expired or changed credential, too many connections: nats-py would close for good
            # and nobody would be told
            await self._process_op_err(error)

    def _as_the_broker_wrote_it(self, err_msg: str) -> str:
        """Undo the parser's lower-casing, because subjects have a case.

        The line is still at the beginning of the parser's buffer while the error is processed.
        """
        line = bytes(self._ps.buf).partition(b"\r\n")[0]
        written = line.removeprefix(b"-ERR").strip().decode(errors="replace")
        return written if written.lower() == err_msg else err_msg


def to_transport_error(error: Exception, what: str) -> TransportError:
    """Say in hookbus' words what nats-py reports about *what*."""
    match error:
        case nats.js.errors.NoStreamResponseError() | nats.errors.NoRespondersError():
            return NoResponders(f"{what}: nothing answers; is JetStream on?")
        case nats.errors.TimeoutError():
            return RequestTimeout(f"{what}: no answer in time")
        case nats.errors.ConnectionClosedError() | nats.errors.ConnectionDrainingError():
            return Disconnected(f"{what}: the connection is closed")
        case nats.errors.OutboundBufferLimitError() | nats.errors.StaleConnectionError():
            return Disconnected(f"{what}: the connection is down")
        case nats.js.errors.BucketNotFoundError():
            return TransportError(
                f"{what}: there is no such bucket; the registry makes it: is one running?"
            )
        case nats.js.errors.ServiceUnavailableError(description=None):
            return TransportError(f"{what}: {jetstream_problem(is_on=False)}")
        case nats.js.errors.APIError(err_code=code, description=str(description)) if (
            code in _NO_ROOM
        ):
            return TransportError(f"{what}: {description}: {MAKE_ROOM}")
        case nats.js.errors.APIError(err_code=code, description=str(description)) if (
            code in _TOO_FEW_SERVERS
        ):
            return TransportError(f"{what}: {description}: {MORE_SERVERS}")
        case nats.js.errors.APIError(description=str(description)):
            return TransportError(f"{what}: {description}")
    return TransportError(f"{what}: {error}")
