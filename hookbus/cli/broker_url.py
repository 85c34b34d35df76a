"""Which broker a command talks to: the option's, else the environment's."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from hookbus.cli.errors import UsageError
from hookbus.config.connection import Connection

_SCHEMES: Final = ("nats", "tls", "ws", "wss")


def broker_url(option: str | None, connection: Connection) -> str:
    """Choose the URL, or several joined by commas; nothing is connected.

    Raises:
        UsageError: It can be none, so that trying would only look like a broker that is down.
    """
    url = option or connection.nats_url
    if all(map(_is_url, url.split(","))):
        return url
    origin = "--url" if option else "HOOKBUS_NATS_URL"
    raise UsageError(f"{origin}: expected a URL such as nats://127.0.0.1:4222, got {url!a}")


def _is_url(server: str) -> bool:
    server = server.strip()
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in _SCHEMES and host != b"" and b" " not in host and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address, bytes that are no text
        return False
