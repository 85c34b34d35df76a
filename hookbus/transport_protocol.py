"""What a connection to a broker can do, whichever broker that is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hookbus.message import Message, MessageCallback


class Subscription(Protocol):
    """Interest in a subject."""

    async def drain(self) -> None:
        """Take no new message; return once all that had arrived were handed over."""


class Transport(Protocol):
    """A connection to a broker.

    Callbacks run on the event loop, one message at a time, and must not block.
    """

    @property
    def is_connected(self) -> bool:
        """Tell whether what is published now reaches the broker."""

    @property
    def max_payload(self) -> int:
        """The largest message the broker takes, in bytes."""

    def new_inbox(self) -> str:
        """Return a fresh subject that this connection may subscribe to, and below it."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Hand a message over, *reply* for answers; those of one tick leave in one send.

        Raises:
            Disconnected: Nothing is kept for later.
            PayloadTooLarge: *data* and *headers* exceed ``max_payload``.
            TransportError: *subject* or *headers* cannot be sent.
        """

    def post(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Do at once what `publish` does: *subject*, *data*, *reply* and *headers* are as there.

        The message is taken, or the same errors are raised; False says that a slow broker has let
        too much pile up, and that `ready` should be awaited before the next.
        """

    async def ready(self) -> None:
        """Give a slow broker time to take what was published; not for long."""

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Publish and return the first reply.

        Raises:
            NoResponders: Nothing is subscribed to *subject*.
            RequestTimeout: No reply within *timeout* seconds.
            Disconnected: Not connected, or the connection was lost while waiting.
            PublishDenied: The broker's permissions refuse *subject*.
            PayloadTooLarge: *data* and *headers* exceed ``max_payload``.
        """

    async def request_many(self, subject: str, data: bytes, *, window: float) -> list[Message]:
        """Publish *data* on *subject*; return every reply that comes within *window* seconds.

        Nothing subscribed is an empty list, at once.
        """

    async def subscribe(
        self, subject: str, callback: MessageCallback, *, queue: str = ""
    ) -> Subscription:
        """Hand every message on *subject* to *callback*; replicas with one *queue* share them."""

    async def flush(self) -> None:
        """Return once the broker knows every subscription made so far.

        Raises:
            Disconnected: Not connected, or the connection was lost while waiting.
        """

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call *callback* at once when the connection is lost."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the connection is back and the subscriptions are restored.

        Also after this process stood still for seconds: others may have given it up meanwhile.
        """

    def on_denied(self, callback: Callable[[str], None]) -> None:
        """Call *callback* with the subject on which the broker's permissions refuse to publish."""

    async def close(self) -> None:
        """Send what was published, then close. Safe to call twice."""
