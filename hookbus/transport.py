"""Messages over a broker: NATS as a `Transport`.

The hot path uses nats-py directly, not FastStream: a FastStream subscriber costs several times
the CPU per message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar, TypeVarTuple

import nats.errors
from nats.aio.subscription import Subscription as CoreSubscription
from nats.js import JetStreamContext

from hookbus import subjects
from hookbus.broker_needs import version_problem
from hookbus.config.connection import check_url, without_password
from hookbus.connect_errors import connect_failed, is_hopeless, subscription_denied, words_of
from hookbus.errors import (
    ConnectFailed,
    Disconnected,
    InvalidOption,
    PayloadTooLarge,
    TransportError,
)
from hookbus.inbox import Inbox
from hookbus.message import Message, MessageCallback, encode_headers
from hookbus.nats_client import PINGS, NatsClient, to_transport_error
from hookbus.transport_protocol import Subscription, Transport

__all__ = ["Message", "MessageCallback", "NatsTransport", "Subscription", "Transport"]
log = logging.getLogger("hookbus.transport")

_OPTIONS: Final[dict[str, Any]] = {
    "max_reconnect_attempts": -1,  # for ever
    "reconnect_time_wait": 0.2,  # seconds
    **PINGS,
    "pending_size": 8 * 1024 * 1024,  # bytes for a slow broker, before a publish waits too …
    "flush_timeout": 0.25,  # … and for how many seconds
}
CLOSE_TIMEOUT: Final = 2.0  # seconds for what was published to leave
JETSTREAM_TIMEOUT: Final = 5.0  # seconds for one answer of the JetStream API

_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.I)

T = TypeVar("T")
Headers = Mapping[str, str]
Arguments = TypeVarTuple("Arguments")


class NatsTransport(Transport):
    """A Transport over one NATS connection, which comes back by itself as often as it is lost."""

    def __init__(self, url: str, principal: str) -> None:
        """Prepare only: use `connect`."""
        self._url = without_password(url)
        self._client = NatsClient()
        self._inbox = Inbox(principal, self.post, self.ready)
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._is_closed = False
        self._last_error: Exception | None = None
        self._refused: list[str] = []  # subscriptions that the broker's permissions refuse
        self._disconnect_callbacks: list[Callable[[], None]] = []
        self._reconnect_callbacks: list[Callable[[], None]] = []
        self._denied_callbacks: list[Callable[[str], None]] = []

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        principal: str = subjects.ANONYMOUS,
        name: str = "hookbus",
        connect_timeout: float = 2.0,
        options: Mapping[str, Any] | None = None,
    ) -> NatsTransport:
        """Connect as *principal*, trying again until *connect_timeout* seconds are over.

        *url* may name several servers, separated by commas. *options* go to nats-py's `connect`
        and win over ours; credentials and TLS come from `hookbus.config.connection.nats_options`.

        Raises:
            ConnectFailed: Not reached in time; what is no URL fails at once.
            ConnectRefused, SubscriptionDenied: Credentials, certificate or inbox are refused.
        """
        try:
            check_url(url)
        except (TypeError, InvalidOption) as error:
            raise ConnectFailed(f"no connection: {error}; set HOOKBUS_NATS_URL") from error
        transport = cls(url, principal)
        settings = {
            "servers": [server.strip() for server in url.split(",")],
            "name": name,
            "inbox_prefix": subjects.inbox(principal),
            "connect_timeout": connect_timeout,
            **_OPTIONS,
            **(options or {}),
        }
        try:
            async with asyncio.timeout(connect_timeout):
                await transport._open(settings)
        except (OSError, nats.errors.Error, Disconnected) as error:
            cause = (transport._last_error or error) if isinstance(error, TimeoutError) else error
            raise connect_failed(url, cause, connect_timeout, settings) from error
        finally:
            if not transport._is_open:
                await transport.close()
        return transport

    async def _open(self, settings: dict[str, Any]) -> None:
        await self._client.open(
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            **settings,
        )
        await self.subscribe(self._inbox.subject, self._inbox.on_message)
        await self.flush()
        self.check_subscriptions()
        self._is_open = True
        if lack := version_problem(str(self._client._server_info.get("version", ""))):
            log.warning("%s: %s", self._url, lack)

    def check_subscriptions(self) -> None:
        """See, after a flush, that the broker's permissions allowed every subscription so far.

        NATS tells a refused subscription only beside everything else: whoever starts asks here.

        Raises:
            SubscriptionDenied: One was refused; names the subjects.
        """
        if self._refused:
            raise subscription_denied(self._url, self._refused)

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected and not self._is_closed

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    @property
    def jetstream(self) -> JetStreamContext:
        """nats-py's JetStream on this connection, for streams and keyvalue."""
        return self._client.jetstream(timeout=JETSTREAM_TIMEOUT)

    def new_inbox(self) -> str:
        return self._inbox.new_subject()

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: Headers | None = None
    ) -> None:
        if not self.post(subject, data, reply=reply, headers=headers):
            await self.ready()

    def post(
        self, subject: str, data: bytes, *, reply: str = "", headers: Headers | None = None
    ) -> bool:
        client = self._client
        if client._status != client.CONNECTED or self._is_closed:  # is_connected is two calls more
            self._require_connection()
        try:
            encoded = encode_headers(subject, headers) if headers else b""
            return client.send(subject, data, reply, encoded)
        except nats.errors.MaxPayloadError as error:
            raise PayloadTooLarge(len(encoded) + len(data), client.max_payload) from error
        except nats.errors.Error as error:
            raise to_transport_error(error, f"message on {subject!r}") from error

    async def ready(self) -> None:
        await self._client.wait_for_room()

    def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Coroutine[Any, Any, Message]:
        return self._inbox.request(subject, data, timeout=timeout, headers=headers)

    async def request_many(self, subject: str, data: bytes, *, window: float) -> list[Message]:
        return await self._inbox.request_many(subject, data, window=window)

    async def subscribe(
        self, subject: str, callback: MessageCallback, *, queue: str = ""
    ) -> Subscription:
        try:
            subscription = await self._client.receive(subject, queue, callback)
        except nats.errors.Error as error:
            raise to_transport_error(error, f"subscription to {subject!r}") from error
        return _NatsSubscription(self, self._client, subscription)

    async def receive_some(
        self, subject: str, callback: MessageCallback, messages: int
    ) -> Subscription:
        """Hand so many messages on *subject* to *callback*; the broker sends no more of them."""
        try:
            subscription = await self._client.receive(subject, "", callback)
            await self._client.limit(subscription, messages)
        except nats.errors.Error as error:
            raise to_transport_error(error, f"subscription to {subject!r}") from error
        return _NatsSubscription(self, self._client, subscription)

    async def flush(self) -> None:
        await self.unless_lost(self._client.flush(), "flush")

    async def unless_lost(self, operation: Coroutine[Any, Any, T], what: str) -> T:
        """Await what nats-py does, but not beyond the loss of the connection.

        nats-py does not tell its own waiters of a loss; they would sit out their timeouts.

        Raises:
            Disconnected: Not connected, or the connection was lost while waiting.
            TransportError: nats-py reports *operation* as failed; the message begins with *what*.
        """
        try:
            self._require_connection()
        except Disconnected:
            operation.close()
            raise
        if self._lost.done():
            self._lost = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(operation)
        try:
            await asyncio.wait((running, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
        except nats.errors.Error as error:
            raise to_transport_error(error, what) from error
        finally:
            running.cancel()
        raise Disconnected(f"{what}: the connection to {self._url} was lost")

    def _require_connection(self) -> None:
        if not self._client.is_connected or self._is_closed:
            state = "closed" if self._is_closed else "down"
            raise Disconnected(f"the connection to {self._url} is {state}")

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        self._disconnect_callbacks.append(callback)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnect_callbacks.append(callback)

    def on_denied(self, callback: Callable[[str], None]) -> None:
        self._denied_callbacks.append(callback)

    async def close(self) -> None:
        if self._is_closed:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.flush()
        except (TransportError, TimeoutError):
            self._client.abort(for_good=not self._is_open)
        self._is_closed = True
        self._inbox.fail_all(f"the connection to {self._url} was closed")
        with contextlib.suppress(OSError):
            await self._client.close()

    async def _on_disconnected(self) -> None:
        if not self._is_open or self._is_closed:
            return
        self._client.discard_unsent()
        self._inbox.fail_all(f"the connection to {self._url} was lost")
        if not self._lost.done():
            self._lost.set_result(None)
        log.warning("connection to %s lost, trying again", self._url)
        _call_all(self._disconnect_callbacks)

    async def _on_reconnected(self) -> None:
        log.warning("connection to %s is back", self._url)
        _call_all(self._reconnect_callbacks)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = error
        denied = _DENIED.search(str(error))
        if denied is None:
            self._report(error)
        elif denied[1].lower() == "subscription":
            self._refused.append(denied[2])
            log.warning("the broker's permissions refuse the subscription to %r", denied[2])
        else:
            log.warning("the broker's permissions refuse to publish on %r", denied[2])
            self._inbox.fail_denied(denied[2])
            _call_all(self._denied_callbacks, denied[2])

    def _report(self, error: Exception) -> None:
        if not self._is_open and is_hopeless(error):
            raise error  # out of nats-py's connect, which would try for ever
        # one line a loss is enough: the attempts to come back fail several times a second
        is_loss = not self.is_connected or isinstance(error, nats.errors.StaleConnectionError)
        log.log(logging.DEBUG if is_loss else logging.WARNING, "%s: %s", self._url, words_of(error))


class _NatsSubscription(Subscription):
    """Interest in a subject at a NATS broker."""

    def __init__(
        self, transport: NatsTransport, client: NatsClient, subscription: CoreSubscription
    ) -> None:
        self._transport = transport
        self._client = client
        self._subscription = subscription

    async def drain(self) -> None:
        # not nats-py's drain: it writes its PING ahead of the UNSUB, and loses what comes between
        if self._transport.is_connected:
            await self._client.stop_routing(self._subscription)
            with contextlib.suppress(Disconnected):
                await self._transport.flush()
        with contextlib.suppress(nats.errors.Error):
            await self._client.stop_receiving(self._subscription)


def _call_all(callbacks: list[Callable[[*Arguments], None]], *arguments: *Arguments) -> None:
    for callback in callbacks:
        try:
            callback(*arguments)
        except Exception:
            log.exception("callback of the connection failed")
