"""Requests of one connection and the replies to them, over any broker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from typing import Protocol

from hookbus import subjects
from hookbus.errors import Disconnected, NoResponders, PublishDenied, RequestTimeout
from hookbus.message import Message, is_no_responders


class Publish(Protocol):
    """`Transport.publish`, handed around."""

    def __call__(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Awaitable[None]: ...


class Inbox:
    """One subscription for the replies to all requests; one future and one timer a request.

    nats-py's own requests cost a `wait_for` and a NUID each, and sit out a lost connection.
    """

    def __init__(self, principal: str, publish: Publish) -> None:
        self._owner = subjects.inbox(principal)
        self._prefix = self.new_subject() + "."
        self._publish = publish
        self._waiting: dict[str, tuple[str, asyncio.Future[Message | None]]] = {}
        self._collected: dict[str, list[Message]] = {}

    @property
    def subject(self) -> str:
        """What the connection subscribes to, with `on_message` as the callback."""
        return f"{self._prefix}*"

    def new_subject(self) -> str:
        """Return a fresh subject that only this principal may subscribe to."""
        return f"{self._owner}.{os.urandom(16).hex()}"

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None
    ) -> Message:
        message = await self._ask(os.urandom(12).hex(), subject, data, timeout, headers)
        if message is None:
            raise RequestTimeout(f"no reply on {subject!r} within {timeout:g} s")
        if is_no_responders(message):
            raise NoResponders(f"nothing is subscribed to {subject!r}")
        return message

    async def request_many(self, subject: str, data: bytes, *, window: float) -> list[Message]:
        token = os.urandom(12).hex()
        replies = self._collected[token] = []
        try:
            await self._ask(token, subject, data, window, None)
        finally:
            del self._collected[token]
        return replies

    async def _ask(
        self,
        token: str,
        subject: str,
        data: bytes,
        timeout: float,
        headers: Mapping[str, str] | None,
    ) -> Message | None:
        """Publish and wait for what ends the request; None when the time is up."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Message | None] = loop.create_future()
        self._waiting[token] = (subject, answer)
        timer = loop.call_later(timeout, _settle, answer, None)
        try:
            await self._publish(subject, data, reply=self._prefix + token, headers=headers)
            return await answer
        finally:
            timer.cancel()
            del self._waiting[token]

    def on_message(self, message: Message) -> None:
        token = message.subject[len(self._prefix) :]
        waiting = self._waiting.get(token)
        if waiting is None:
            return  # too late
        replies = self._collected.get(token)
        if replies is None or is_no_responders(message):
            _settle(waiting[1], message)
        else:
            replies.append(message)

    def fail_all(self, reason: str) -> None:
        """End every waiting request with Disconnected."""
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Disconnected(reason))

    def fail_denied(self, subject: str) -> None:
        """End the waiting requests on *subject* with PublishDenied."""
        for asked, answer in self._waiting.values():
            if asked == subject and not answer.done():
                answer.set_exception(
                    PublishDenied(f"the broker's permissions refuse to publish on {subject!r}")
                )


def _settle(answer: asyncio.Future[Message | None], message: Message | None) -> None:
    if not answer.done():
        answer.set_result(message)
