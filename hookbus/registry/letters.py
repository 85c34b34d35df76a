"""Dead letters: what an observer could not handle, why, and what operators see of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from hookbus import subjects
from hookbus.message import Message
from hookbus.printable import shorten
from hookbus.schemas.secret_fields import SecretPath
from hookbus.schemas.secret_values import MASK, secrets_in, without_secrets
from hookbus.wire.limits import NOT_JSON

MAX_ERROR: Final = 256  # characters
SHORTEST: Final = 3  # characters of a secret that is looked for in an error

#: Header of a message that an operator has sent again: the tries that it had before.
TRIES: Final = "Hookbus-Tries"


class Advisory(msgspec.Struct, frozen=True):
    """What JetStream says of a message that it gives up."""

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int
    timestamp: str = ""
    reason: str | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message of HOOKBUS_DLQ.

    Attributes:
        tries: how often it was delivered, also before an operator sent it again.
        at: when it was given up: ``"2026-11-21T10:00:00Z"``
        sequence: of the message in HOOKBUS_OBSERVE.
        observed: the observer's message; null if it was gone already, or no JSON.
    """

    v: Literal[1] = 1
    plugin: str
    hook: str
    tries: int
    error: str
    at: str
    sequence: int
    observed: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def is_empty(self) -> bool:
        """There is nothing in it that could be sent again."""
        return bytes(self.observed) == b"null"


#: The broker's word for a message that a limit took away while an observer had it in its hands.
_TAKEN_AWAY: Final = "Unacknowledged message was deleted"

decode_advisory = msgspec.json.Decoder(Advisory).decode
decode_letter = msgspec.json.Decoder(Letter).decode


def was_taken_away(advisory: Advisory, stored: Message | None) -> bool:
    """Tell whether a limit took the event away while an observer had it in its hands.

    Perhaps it is handled a moment later, perhaps never.
    """
    return stored is None and advisory.reason == _TAKEN_AWAY


def letter_of(advisory: Advisory, stored: Message | None) -> Letter | None:
    """Write the letter about what *advisory* says; None if no observer is concerned.

    What was taken away is for :func:`was_taken_away`: a letter without the event helps nobody.
    """
    observer = subjects.observer_of(advisory.consumer)
    if observer is None or advisory.stream != subjects.OBSERVE_STREAM:
        return None
    before = (stored.headers or {}).get(TRIES, "") if stored else ""
    tries = advisory.deliveries + (int(before) if before.isdecimal() and len(before) < 9 else 0)
    error = advisory.reason or (
        f"given up after {advisory.deliveries} deliveries that nobody acknowledged"
        if advisory.reason is None
        else "given up without a reason"
    )
    observed = msgspec.Raw(b"null")
    if stored is None:
        error += "; the event was gone from the stream already"
    elif _is_json(stored.data):
        observed = msgspec.Raw(stored.data)
    return Letter(
        plugin=observer[0],
        hook=observer[1],
        tries=tries,
        error=shorten(error, MAX_ERROR),
        at=f"{advisory.timestamp[:19]}Z",  # it comes in nanoseconds
        sequence=advisory.stream_seq,
        observed=observed,
    )


def _is_json(body: bytes) -> bool:
    try:
        body.decode()
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except NOT_JSON:
        return False
    return True


def event_of(letter: Letter) -> dict[str, Any]:
    """The event in a letter; empty if there is none."""
    try:
        observed = msgspec.json.decode(letter.observed)
        return dict(observed["event"])
    except (*NOT_JSON, KeyError, TypeError):
        return {}


def summary(identity: int, letter: Letter) -> dict[str, Any]:
    """What a list shows; *identity* is the letter's sequence in HOOKBUS_DLQ."""
    event = event_of(letter)
    return {
        "id": identity,
        "at": letter.at,
        "plugin": letter.plugin,
        "hook": letter.hook,
        "type": event.get("type"),
        "event": event.get("id"),
        "source": event.get("source"),
        "tries": letter.tries,
        "error": letter.error,
        "is_empty": letter.is_empty,
    }


def masked(letter: Letter, secrets: Iterable[SecretPath] | None) -> dict[str, Any]:
    """Error and content without what is secret; None: nobody knows what is, so all data is."""
    observed = msgspec.json.decode(letter.observed)
    error = letter.error
    match observed:
        case {"event": {"data": data} as event} if secrets is None:
            event["data"] = data and MASK
        case {"event": {"data": data} as event} if secrets is not None:
            paths = tuple(secrets)
            event["data"], _ = without_secrets(data, paths)
            for _, value in secrets_in(data, paths):
                if isinstance(value, str) and len(value) >= SHORTEST:  # a plugin may quote it
                    error = error.replace(value, MASK)
    return {"error": error, "observed": observed}
