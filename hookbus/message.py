"""One message as a broker hands it over, asking for one, and what it must be like. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from hookbus.errors import PayloadTooLarge, TransportError

_NO_RESPONDERS_STATUS: Final = "503"
_HEADER_KEY: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token of RFC 7230


class Message(Protocol):
    """One received message."""

    @property
    def subject(self) -> str:
        """Where it was published: ``hookbus.emit.chat.message_received``."""

    @property
    def reply(self) -> str:
        """The subject that an answer goes to; ``""`` when none is wanted."""

    @property
    def data(self) -> bytes:
        """The body; of hookbus's own messages JSON in UTF-8."""

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The NATS headers, None without any."""


#: Gets each message of a subscription, on the event loop; it must not block.
MessageCallback: TypeAlias = Callable[[Message], None]


class Requests(Protocol):
    """All that an emitter needs of a connection; every ``hookbus.transport.Transport`` has it."""

    @property
    def is_connected(self) -> bool:
        """Tell whether what is published now reaches the broker."""

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Publish and return the first reply; see :meth:`hookbus.transport.Transport.request`."""


def is_no_responders(message: Message) -> bool:
    """Tell whether the broker says that nothing is subscribed to the request's subject."""
    return (
        not message.data
        and message.headers is not None
        and message.headers.get("Status") == _NO_RESPONDERS_STATUS
    )


def check_sendable(
    subject: str, data: bytes, headers: Mapping[str, str] | None, max_payload: int
) -> None:
    """Refuse what would forge a line of the protocol, or make the broker close the connection.

    Raises:
        PayloadTooLarge: The broker counts the headers in.
        TransportError: *subject* is not one, or a header is more than one line.
    """
    if not subject or not is_one_word(subject):
        raise TransportError(f"expected a subject without white space, got {subject!r}")
    size = len(data) + len(encode_headers(subject, headers) if headers else b"")
    if size > max_payload:
        raise PayloadTooLarge(size, max_payload)


def is_one_word(subject: str) -> bool:
    """Tell whether *subject*, which may be empty, has nothing in it that ends a subject."""
    # looks for one character each are a third of what an expression takes for all
    return " " not in subject and "\t" not in subject and _is_one_line(subject)


def encode_headers(subject: str, headers: Mapping[str, str]) -> bytes:
    """Write headers as they stand before the body of a message; *subject* is for the error.

    Raises:
        TransportError: A header is more than one line.
    """
    lines = "NATS/1.0\r\n"
    for key, value in headers.items():
        if not _is_one_line(value) or not _is_header_key(key):
            raise TransportError(
                f"message on {subject!r}: header {key!r}: expected a token and one line,"
                f" got {value!r}"
            )
        lines += f"{key}: {value}\r\n"
    return (lines + "\r\n").encode()


def _is_one_line(text: str) -> bool:
    return "\n" not in text and "\r" not in text and "\0" not in text


@lru_cache(maxsize=64)
def _is_header_key(key: str) -> bool:
    return _HEADER_KEY.fullmatch(key) is not None
