"""Who is there: the NATS Service API (ADR-32), answered and asked; ``nats micro ls`` uses it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.transport import Message, Subscription, Transport
from hookbus.wire.limits import NOT_JSON

_RESPONSE: Final = "io.nats.micro.v1.{}_response"
_VERBS: Final = ("PING", "INFO", "STATS")


def of_process() -> dict[str, str]:
    """Which process this is, for whoever looks for it."""
    return {"host": socket.gethostname(), "pid": str(os.getpid())}


@dataclass(slots=True)
class Endpoint:
    """One subject that a service listens on, and what it has done there. Times in seconds."""

    name: str
    subject: str
    queue_group: str
    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing: float = 0.0
    data: Callable[[], Mapping[str, Any]] | None = None

    def done(self, seconds: float, error: str = "") -> None:
        """Count one request."""
        self.requests += 1
        self.processing += seconds
        if error:
            self.errors += 1
            self.last_error = error

    def info(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "metadata": {},
        }

    def stats(self) -> dict[str, Any]:
        nanoseconds = int(self.processing * 1e9)
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "num_requests": self.requests,
            "num_errors": self.errors,
            "last_error": self.last_error,
            "processing_time": nanoseconds,
            "average_processing_time": nanoseconds // self.requests if self.requests else 0,
            "data": dict(self.data()) if self.data else {},
        }


@dataclass(frozen=True, slots=True)
class Service:
    """A role or a plugin as the Service API shows it; *instance* is its id."""

    name: str
    version: str
    instance: str
    description: str = ""
    endpoints: list[Endpoint] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    metadata: Mapping[str, str] = field(default_factory=of_process)

    def answer(self, verb: str) -> bytes:
        """Encode the answer to ``PING``, ``INFO`` or ``STATS``."""
        body: dict[str, Any] = {
            "type": _RESPONSE.format(verb.lower()),
            "name": self.name,
            "id": self.instance,
            "version": self.version,
            "metadata": dict(self.metadata),
        }
        if verb == "INFO":
            body["description"] = self.description
            body["endpoints"] = [endpoint.info() for endpoint in self.endpoints]
        elif verb == "STATS":
            body["started"] = self.started.isoformat().replace("+00:00", "Z")
            body["endpoints"] = [endpoint.stats() for endpoint in self.endpoints]
        return msgspec.json.encode(body)


class Presence:
    """Answers for one service until it is drained."""

    def __init__(self, transport: Transport, service: Service) -> None:
        self._transport = transport
        self._service = service
        self._subscriptions: list[Subscription] = []
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on the nine subjects of the API."""
        service = self._service
        for verb in _VERBS:
            for name, instance in (("", ""), (service.name, ""), (service.name, service.instance)):
                self._subscriptions.append(
                    await self._transport.subscribe(
                        subjects.service(verb, name, instance), self._on_request
                    )
                )

    async def stop(self) -> None:
        """Be there no more."""
        for subscription in self._subscriptions:
            await subscription.drain()
        if self._answers:
            await asyncio.wait(self._answers)

    def _on_request(self, message: Message) -> None:
        if not message.reply.startswith(subjects.INBOX):
            return
        verb = message.subject.split(".")[1]
        answer = asyncio.ensure_future(
            self._transport.publish(message.reply, self._service.answer(verb))
        )
        self._answers.add(answer)
        answer.add_done_callback(self._on_answered)

    def _on_answered(self, answer: asyncio.Task[None]) -> None:
        self._answers.discard(answer)
        if not answer.cancelled():
            answer.exception()  # whoever asked has gone, or the broker has


async def ask(
    transport: Transport, verb: str, name: str, *, window: float = 0.1
) -> list[dict[str, Any]]:
    """Collect what every instance of *name* answers within *window* seconds.

    ``$SRV.STATS`` without a name would ask everybody on the broker: it is never sent.
    """
    replies = await transport.request_many(subjects.service(verb, name), b"", window=window)
    answers = []
    for reply in replies:
        try:
            answer = msgspec.json.decode(reply.data)
        except NOT_JSON:
            continue
        if isinstance(answer, dict) and isinstance(answer.get("id"), str):
            answers.append(answer)
    return answers
