"""A broker in memory and connections to it, which behave as NATS does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hookbus import subjects
from hookbus.errors import Disconnected, TransportError
from hookbus.inbox import Inbox
from hookbus.message import Message, MessageCallback, check_sendable
from hookbus.testing.bucket import Bucket
from hookbus.testing.jetstream import JetStream
from hookbus.testing.memory_message import MemoryMessage

log = logging.getLogger("hookbus.testing")


@dataclass(slots=True, eq=False)
class _Interest:
    """One subscription at the broker."""

    owner: MemoryTransport
    pattern: str
    callback: MessageCallback
    queue: str
    coming: int = 0  # messages that were routed here and not yet handed over
    drained: asyncio.Future[None] | None = None


class MemoryBroker:
    """A broker in memory: make one in each test, and a `MemoryTransport` for each connection.

    Messages are handed over in the order of publishing, always in a later tick of the loop,
    *latency* seconds after they were published. Of a queue group the members take turns.

        broker = MemoryBroker()
        asking, answering = MemoryTransport(broker), MemoryTransport(broker)
        broker.disconnect(answering)  # this connection is lost
        broker.reconnect()  # all are back
    """

    def __init__(self, *, max_payload: int = 1024 * 1024, latency: float = 0.0) -> None:
        self.max_payload = max_payload
        self.latency = latency
        self.is_up = True
        self.jetstream = JetStream(self.route, self.hand_to_group)
        self.buckets: dict[str, Bucket] = {}
        self._reconnect_callbacks: list[Callable[[], None]] = []
        self._transports: list[MemoryTransport] = []
        self._interests: list[_Interest] = []
        self._turns: dict[tuple[str, str], int] = {}
        self._coming: deque[tuple[_Interest, int, Message]] = deque()

    def disconnect(self, transport: MemoryTransport | None = None) -> None:
        """Cut one connection, or all of them; what is on its way to it is lost."""
        if transport is None:
            self.is_up = False
        for each in self._transports if transport is None else [transport]:
            each._lose_connection()

    def reconnect(self, transport: MemoryTransport | None = None) -> None:
        """Bring a connection back, or all of them, with their subscriptions."""
        if transport is None:
            self.is_up = True
        for each in self._transports if transport is None else [transport]:
            each._regain_connection()
        if transport is None:
            for callback in self._reconnect_callbacks:
                callback()
        self.jetstream.resume()

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the whole broker is back."""
        self._reconnect_callbacks.append(callback)

    def join(self, transport: MemoryTransport) -> None:
        self._transports.append(transport)

    def leave(self, transport: MemoryTransport) -> None:
        self._transports.remove(transport)
        self._interests = [each for each in self._interests if each.owner is not transport]

    def add(self, interest: _Interest) -> None:
        self._interests.append(interest)
        self.jetstream.resume()

    def remove(self, interest: _Interest) -> None:
        if interest in self._interests:
            self._interests.remove(interest)

    def route(self, message: Message, sender: MemoryTransport | None = None) -> None:
        """Hand *message* to whom it may concern, or say to *sender* that there is nobody."""
        targets = self._choose(message.subject)
        for interest in targets:
            self._send(interest, message)
        is_taken = self.jetstream.take(message)
        if sender is not None and message.reply and not targets and not is_taken:
            nobody = {"Status": "503", "Nats-Subject": message.subject}
            for interest in self._choose(message.reply):
                if interest.owner is sender:
                    self._send(interest, MemoryMessage(message.reply, b"", "", nobody))

    def hand_to_group(self, message: Message, deliver_subject: str, group: str) -> bool:
        """Hand a stream's *message* to one member of *group*; False when there is none.

        As in NATS 2.15 only a subscription on the exact subject counts.
        """
        members = [
            each
            for each in self._interests
            if each.pattern == deliver_subject and each.queue == group and each.owner.is_connected
        ]
        if members:
            self._send(self._next_of(members, deliver_subject, group), message)
        return bool(members)

    def _choose(self, subject: str) -> list[_Interest]:
        """Everyone who subscribed on its own, and one of each queue group."""
        chosen: list[_Interest] = []
        groups: dict[str, list[_Interest]] = {}
        for interest in self._interests:
            if not interest.owner.is_connected:
                continue
            if subjects.type_matches(interest.pattern, subject):
                members = groups.setdefault(interest.queue, []) if interest.queue else chosen
                members.append(interest)
        for group, members in groups.items():
            chosen.append(self._next_of(members, subject, group))
        return chosen

    def _next_of(self, members: list[_Interest], subject: str, group: str) -> _Interest:
        turn = self._turns.get((subject, group), 0)
        self._turns[subject, group] = turn + 1
        return members[turn % len(members)]

    def _send(self, interest: _Interest, message: Message) -> None:
        interest.coming += 1
        self._coming.append((interest, interest.owner.losses, message))
        # every timer hands over the oldest: asyncio does not keep the order of equal timers
        loop = asyncio.get_running_loop()
        if self.latency:
            loop.call_later(self.latency, self._hand_over_next)
        else:
            loop.call_soon(self._hand_over_next)

    def _hand_over_next(self) -> None:
        interest, losses, message = self._coming.popleft()
        interest.coming -= 1
        if interest.owner.is_connected and interest.owner.losses == losses:
            try:
                interest.callback(message)
            except Exception:
                log.exception("callback of the subscription to %r failed", interest.pattern)
        if interest.drained is not None and not interest.coming and not interest.drained.done():
            interest.drained.set_result(None)


class MemoryTransport:
    """A `hookbus.transport.Transport` on a `MemoryBroker`; it raises what the real one raises.

    *denied* names the subjects, wildcards allowed, that the broker refuses to this connection.

        transport = MemoryTransport(broker, principal="chat", denied=["hookbus.ctl.>"])
        await transport.subscribe("greet", on_greeting)
        await transport.request("greet", b"hello", timeout=1.0)
    """

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        principal: str = subjects.ANONYMOUS,
        denied: Iterable[str] = (),
    ) -> None:
        self.losses = 0  # how often the connection was lost
        self._broker = broker
        self._denied = tuple(denied)
        self._is_up = broker.is_up
        self._is_closed = False
        self._disconnect_callbacks: list[Callable[[], None]] = []
        self._reconnect_callbacks: list[Callable[[], None]] = []
        self._denied_callbacks: list[Callable[[str], None]] = []
        self._inbox = Inbox(principal, self.post, self.ready)
        broker.join(self)
        broker.add(_Interest(self, self._inbox.subject, self._inbox.on_message, queue=""))

    @property
    def is_connected(self) -> bool:
        return self._is_up and not self._is_closed

    @property
    def max_payload(self) -> int:
        return self._broker.max_payload

    def new_inbox(self) -> str:
        return self._inbox.new_subject()

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.post(subject, data, reply=reply, headers=headers)

    def post(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        self._require_connection()
        check_sendable(subject, data, headers, self.max_payload)
        if any(subjects.type_matches(pattern, subject) for pattern in self._denied):
            asyncio.get_running_loop().call_soon(self._on_denied, subject)
            return True
        received = dict(headers) if headers else None
        self._broker.route(MemoryMessage(subject, bytes(data), reply, received), self)
        return True

    async def ready(self) -> None:
        """Return at once: no broker in memory is slow."""

    def _on_denied(self, subject: str) -> None:
        self._inbox.fail_denied(subject)
        for callback in self._denied_callbacks:
            callback(subject)

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        return await self._inbox.request(subject, data, timeout=timeout, headers=headers)

    async def request_many(self, subject: str, data: bytes, *, window: float) -> list[Message]:
        return await self._inbox.request_many(subject, data, window=window)

    async def subscribe(
        self, subject: str, callback: MessageCallback, *, queue: str = ""
    ) -> MemorySubscription:
        if self._is_closed:
            raise Disconnected(f"subscription to {subject!r}: the connection is closed")
        if not is_subscribable(subject):
            raise TransportError(f"subscription to {subject!r}: not a subject")
        interest = _Interest(self, subject, callback, queue)
        self._broker.add(interest)
        return MemorySubscription(self._broker, interest)

    async def flush(self) -> None:
        self._require_connection()
        await asyncio.sleep(2 * self._broker.latency)
        self._require_connection()

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        self._disconnect_callbacks.append(callback)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnect_callbacks.append(callback)

    def on_denied(self, callback: Callable[[str], None]) -> None:
        self._denied_callbacks.append(callback)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._broker.leave(self)
        self._inbox.fail_all("the connection to the broker in memory was closed")

    def _require_connection(self) -> None:
        if not self.is_connected:
            state = "closed" if self._is_closed else "down"
            raise Disconnected(f"the connection to the broker in memory is {state}")

    def _lose_connection(self) -> None:
        if not self.is_connected:
            return
        self._is_up = False
        self.losses += 1
        self._inbox.fail_all("the connection to the broker in memory was lost")
        for callback in self._disconnect_callbacks:
            callback()

    def _regain_connection(self) -> None:
        if self._is_up or self._is_closed:
            return
        self._is_up = True
        for callback in self._reconnect_callbacks:
            callback()


class MemorySubscription:
    """Interest in a subject at a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, interest: _Interest) -> None:
        self._broker = broker
        self._interest = interest

    async def drain(self) -> None:
        self._broker.remove(self._interest)
        if self._interest.coming and self._interest.drained is None:
            self._interest.drained = asyncio.get_running_loop().create_future()
        if self._interest.drained is not None:
            await asyncio.shield(self._interest.drained)


def is_subscribable(subject: str) -> bool:
    """Tell whether a broker takes *subject* for a subscription: no empty token, ``>`` only last."""
    tokens = subject.split(".")
    return (
        all(
            token
            and not set(token) & set(" \t\r\n")
            and (token in ("*", ">") or not set(token) & set("*>"))
            for token in tokens
        )
        and ">" not in tokens[:-1]
    )
