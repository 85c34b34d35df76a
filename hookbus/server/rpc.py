"""Requests over FastStream: subscribers in one queue group, bytes in and bytes out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import nats.errors
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.subscriber.usecases.core_subscriber import CoreSubscriber

from hookbus import subjects
from hookbus.config.connection import Connection, nats_options
from hookbus.errors import HookbusError, RequestTimeout, SubscriptionDenied
from hookbus.nats_client import PINGS, NatsClient, to_transport_error
from hookbus.transport import Transport

START_TIMEOUT: Final = 5.0  # seconds; the broker was there a moment ago
STOP_TIMEOUT: Final = 5.0  # seconds for the requests that still run

_OPTIONS: Final[dict[str, Any]] = {
    "max_reconnect_attempts": -1,  # for ever
    "reconnect_time_wait": 0.2,  # seconds
    **PINGS,
}

#: Takes a request's subject and body, and returns the answer's body.
Answer = Callable[[str, bytes], Awaitable[bytes]]

log = logging.getLogger(__name__)


class Rpc:
    """Answers requests on some subjects, over a connection that FastStream keeps."""

    def __init__(self, connection: Connection, principal: str, replies: Transport) -> None:
        """Prepare; the answers leave over *replies*."""
        self._replies = replies
        self._denied: list[str] = []
        self._broker = _Broker(
            [server.strip() for server in connection.nats_url.split(",")],
            name=f"hookbus-{principal}-requests",
            inbox_prefix=subjects.inbox(principal),
            # the handler gets the message as it is: a parameter that FastStream injects would cost
            # a hop to a thread each time, and its decoding would refuse what we must answer
            apply_types=False,
            decoder=_undecoded,
            error_cb=self._on_error,
            logger=None,
            **_OPTIONS,
        )
        self._broker.options = nats_options(connection)
        self._subscribers: list[CoreSubscriber] = []
        self._running: set[asyncio.Task[None]] = set()
        self._is_started = False

    @property
    def is_connected(self) -> bool:
        return self._is_started and self._broker.connection.is_connected

    def answer(self, subject: str, queue: str, answer: Answer) -> None:
        """Answer what comes on *subject* with what *answer* returns; many at once."""

        async def on_request(message: NatsMessage) -> None:
            # NATS does not check reply subjects: only a requester's inbox is answered. A task each,
            # because FastStream hands over one message at a time, and its `max_workers` loses, at
            # the end, those that it has taken but not begun
            if message.reply_to.startswith(subjects.INBOX):
                task = asyncio.get_running_loop().create_task(self._answer(message, answer))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

        # no_reply: our own publish leaves without FastStream's headers
        subscriber = self._broker.subscriber(subject, queue, no_reply=True)
        subscriber(on_request)
        self._subscribers.append(subscriber)

    async def start(self) -> None:
        """Connect and subscribe.

        Raises:
            SubscriptionDenied: The broker's permissions refuse one.
            TransportError: It could not.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._broker.start()
                self._is_started = True
                await self._broker.connection.flush()
        except TimeoutError as e:
            raise RequestTimeout(f"no connection for requests within {START_TIMEOUT:g} s") from e
        except (OSError, nats.errors.Error) as e:
            raise to_transport_error(e, "the connection for requests") from e
        if self._denied:
            raise SubscriptionDenied("; ".join(self._denied))

    async def stop(self) -> None:
        """Take no more requests, finish those that run, then close.

        FastStream's own stop goes on receiving while it waits, and drops what it receives then.
        """
        if not self._is_started:
            return
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                for subscriber in self._subscribers:
                    await _drain(subscriber)
                if self._running:
                    await asyncio.wait(self._running)
        client = self._broker.connection
        # when not connected, nats-py refuses the one and writes to the dead socket in the other
        with contextlib.suppress(nats.errors.Error, OSError, RuntimeError):
            await self._broker.stop()
        with contextlib.suppress(nats.errors.Error, OSError, RuntimeError):
            await client.close()

    async def _on_error(self, error: Exception) -> None:
        if "permissions violation for subscription" in str(error).lower():
            self._denied.append(str(error).removeprefix("nats: "))
        log.debug("requests: %s", error)  # the role's other connection tells of a loss

    async def _answer(self, message: NatsMessage, answer: Answer) -> None:
        subject = message.raw_message.subject
        try:
            body = await answer(subject, message.raw_message.data)
            await self._replies.publish(message.reply_to, body)
        except HookbusError as e:
            log.warning("request_not_answered subject=%s: %s", subject, e)
        except Exception:
            log.exception("request_failed subject=%s", subject)


class _Broker(NatsBroker):
    """FastStream's broker over our client: nats-py's own goes deaf at the first bad header."""

    #: Credentials and TLS, for our client's `open`.
    options: Mapping[str, Any] = {}

    async def _connect(self) -> NatsClient:
        client = NatsClient()
        await client.open(**{**self._connection_kwargs, **self.options})
        self.config.connect(client)
        return client


async def _drain(subscriber: CoreSubscriber) -> None:
    if subscriber.subscription is None:
        return
    drain: Callable[[], Awaitable[None]] = subscriber.subscription.drain
    await drain()
    subscriber.subscription = None


async def _undecoded(message: NatsMessage) -> NatsMessage:
    return message
