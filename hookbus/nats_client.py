"""The nats-py client with what is wrong in it mended, and its errors in hookbus' words."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import PERMISSIONS_ERR, STALE_CONNECTION

from hookbus.errors import Disconnected, NoResponders, RequestTimeout, TransportError


class NatsClient(Client):
    """nats-py 2.16's client; every override says what it is for."""

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

    def discard_unsent(self) -> None:
        """Forget what waits in the buffer: nats-py would send it, stale, after the reconnect.

        Subscriptions are not lost by it, they are restored from another place.
        """
        self._pending.clear()
        self._pending_data_size = 0

    def abort(self) -> None:
        """Drop the socket and all that waits to be sent: a broker that hangs never takes it."""
        self.discard_unsent()
        if isinstance(self._transport, TcpTransport) and self._transport._io_writer is not None:
            self._transport._io_writer.transport.abort()

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if not headers:
            return None
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            # out of nats-py's read loop it would be: one bad line of anybody's, and this connection
            # is deaf until the broker is found stale. A Status that is none is no answer of anyone
            return {"Status": ""}

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
            return TransportError(f"{what}: there is no such bucket; the registry makes it")
        case nats.js.errors.APIError(description=str(description)):
            return TransportError(f"{what}: {description}")
    return TransportError(f"{what}: {error}")
