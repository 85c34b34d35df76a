"""What hookbus needs of a NATS server, and what to do where one lacks it. Pure.

Each function returns None when all is well.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: Paused consumers and markers of deleted keys came with it.
OLDEST_VERSION: Final = (2, 11)
#: Bytes of a message beside the event's own: headers, and what a call puts around it.
ENVELOPE_BYTES: Final = 64 * 1024
#: Where JetStream may not store what the streams' limits ask for.
MAKE_ROOM: Final = (
    "raise the server's max_file_store (or the account's limit), make room on its disk, or lower"
    " streams.NAME.max_bytes in the settings"
)
#: Where the settings ask for more copies than there are servers.
MORE_SERVERS: Final = (
    "start more servers with JetStream in its cluster, or lower replicas in the settings"
)

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


class Lack(NamedTuple):
    """What is wrong, and the next step: one line for a person."""

    said: str
    next: str

    def __str__(self) -> str:
        return f"{self.said}: {self.next}"


def version_problem(version: str) -> Lack | None:
    """Compare the server's version, as its greeting says it."""
    found = _VERSION.match(version)
    if found is not None and (int(found[1]), int(found[2])) >= OLDEST_VERSION:
        return None
    oldest = ".".join(map(str, OLDEST_VERSION))
    said = f"nats-server {version or 'of an unknown version'}, expected {oldest} or newer"
    return Lack(said, "update the server")


def jetstream_problem(*, is_on: bool) -> Lack | None:
    """JetStream keeps configuration and decisions."""
    if is_on:
        return None
    return Lack(
        "JetStream is off",
        "start nats-server with -js, or put jetstream { store_dir: … } into its configuration",
    )


def payload_problem(max_event_bytes: int, max_payload: int) -> Lack | None:
    """An event of the largest size must fit into one message."""
    needed = max_event_bytes + ENVELOPE_BYTES
    if needed <= max_payload:
        return None
    least = max(1, max_payload - ENVELOPE_BYTES)
    return Lack(
        f"max_event_bytes is {max_event_bytes}, and the broker takes messages of at most"
        f" {max_payload} bytes",
        f"set its max_payload to {needed} or more, or max_event_bytes to {least} or less",
    )


def storage_problem(wanted: int, limit: int) -> Lack | None:
    """The streams' max_bytes together must fit into what the account or the server may store.

    *limit* is in bytes, -1 is none.
    """
    if limit < 0 or wanted <= limit:
        return None
    return Lack(f"the streams may take {wanted} bytes, and JetStream may store {limit}", MAKE_ROOM)
