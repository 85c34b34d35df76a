"""Requests over FastStream: subscribers in one queue group, bytes in and bytes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from faststream.nats import NatsBroker, NatsMessage
from nats.aio.subscription import Subscription

from hookbus import subjects
from hookbus.errors import HookbusError
from hookbus.transport import Transport

MAX_WORKERS: Final = 64  # requests at once on one subject
GRACE: Final = 5.0  # seconds for the requests that still run when it stops

_OPTIONS: Final[dict[str, Any]] = {
    "max_reconnect_attempts": -1,  # for ever
    "reconnect_time_wait": 0.2,  # seconds
    "ping_interval": 10,  # seconds
    "connect_timeout": 2,  # seconds
}

#: Takes a request's subject and body, and returns the answer's body.
Answer = Callable[[str, bytes], Awaitable[bytes]]

log = logging.getLogger(__name__)


class Rpc:
    """Answers requests on some subjects, over a connection that FastStream keeps."""

    def __init__(self, url: str, principal: str, replies: Transport) -> None:
        """Prepare; the answers leave over *replies*."""
        self._replies = replies
        self._broker = NatsBroker(
            [server.strip() for server in url.split(",")],
            name=f"hookbus-{principal}-requests",
            inbox_prefix=subjects.inbox(principal),
            # the handler gets the message as it is: a parameter that FastStream injects would cost
            # a hop to a thread each time, and its own decoding would refuse what we must answer
            apply_types=False,
            decoder=_undecoded,
            graceful_timeout=GRACE,
            error_cb=_on_error,
            logger=None,
            **_OPTIONS,
        )

    @property
    def is_connected(self) -> bool:
        return self._broker.connection.is_connected

    def answer(self, subject: str, queue: str, answer: Answer) -> None:
        """Answer what comes on *subject* with what *answer* returns."""

        async def on_request(message: NatsMessage) -> None:
            # NATS does not check reply subjects: only a requester's inbox is answered
            if message.reply_to.startswith(subjects.INBOX):
                await self._answer(message, answer)

        # our own publish instead of FastStream's reply: without its headers, and only to inboxes
        self._broker.subscriber(subject, queue, max_workers=MAX_WORKERS, no_reply=True)(on_request)

    async def start(self) -> None:
        """Connect and subscribe.

        Raises:
            OSError, nats.errors.Error: It could not.
        """
        await self._broker.start()

    async def stop(self) -> None:
        """Take no more requests, finish those that run, then close.

        FastStream's own stop goes on receiving while it waits and drops what it receives then; so
        the subscriptions are drained first.
        """
        for subscriber in self._broker.subscribers:
            ...
        await self._broker.stop()

    async def _answer(self, message: NatsMessage, answer: Answer) -> None:
        subject = message.raw_message.subject
        try:
            await self._replies.publish(message.reply_to, await answer(subject, bytes(message.body)))
        except HookbusError as e:
            log.warning("request_not_answered subject=%s: %s", subject, e)
        except Exception:
            log.exception("request_failed subject=%s", subject)


async def _undecoded(message: NatsMessage) -> NatsMessage:
    return message


async def _on_error(error: Exception) -> None:
    log.debug("requests: %s", error)  # the role's other connection tells of a loss
