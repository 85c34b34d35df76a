"""Everything hookbus raises, drawn as a tree. Pure.

HookbusError
├── InvalidEvent            the event was refused: nothing was decided; a ValueError too
├── InvalidOption           an emitter or a timeout that cannot be; a ValueError too
├── HookBlocked             the decision was Block, and the emitter asked to hear it as an exception
├── Unavailable             no decision could be had
├── TransportError
│   ├── NoResponders        nothing is subscribed to the subject
│   ├── RequestTimeout      no reply in time
│   ├── Disconnected        the connection is down; nothing was sent
│   ├── PayloadTooLarge     larger than the broker's max_payload
│   ├── PublishDenied       the broker's permissions refuse the subject
│   ├── SubscriptionDenied  the same for what a process listens to
│   └── ConnectFailed       the broker could not be reached
│       └── ConnectRefused  it was, but credentials or certificate are refused
├── PermanentError          an observe hook gives an event up at once: trying again is of no use
├── KeyConflict             a compare-and-set lost against another writer
├── BadPatch                a patch that cannot be decoded or applied
├── InvalidManifest         a hook, a plugin name or an announcement that cannot be bound
├── SettingsError           a settings file that cannot be used
│   └── CredentialsError    credentials that cannot be used, made or found
├── ControlError            the registry refused an operator's request
└── BrokerError             the embedded nats-server cannot be started
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "BadPatch",
    "BrokerError",
    "ConnectFailed",
    "ConnectRefused",
    "ControlError",
    "CredentialsError",
    "Disconnected",
    "HookBlocked",
    "HookbusError",
    "InvalidEvent",
    "InvalidManifest",
    "InvalidOption",
    "KeyConflict",
    "NoResponders",
    "PayloadTooLarge",
    "PermanentError",
    "Problem",
    "PublishDenied",
    "RequestTimeout",
    "SettingsError",
    "SubscriptionDenied",
    "TransportError",
    "Unavailable",
    "UnavailableCode",
]

#: Why no decision could be had: no dispatcher listens; one did not answer in time; the connection
#: to the broker is down.
UnavailableCode: TypeAlias = Literal["no_responders", "timeout", "disconnected"]


class HookbusError(Exception):
    """The root of everything that hookbus raises on purpose."""


class InvalidEvent(HookbusError, ValueError):
    """The event was refused, by the emitter or by the bus, so nothing was decided.

    Attributes:
        code: ``invalid_event``, ``unknown_type`` or ``schema``.
        pointer: JSON Pointer of the offending field in the event; ``""`` is the event itself.
        message: what was found and what was expected, without code and pointer.
    """

    def __init__(self, message: str, *, code: str = "invalid_event", pointer: str = "") -> None:
        super().__init__(f"{code} at {pointer!r}: {message}" if pointer else f"{code}: {message}")
        self.code = code
        self.pointer = pointer
        self.message = message


class InvalidOption(HookbusError, ValueError):
    """What an emitter was told about itself, its connection or a timeout cannot be."""


class HookBlocked(HookbusError):
    """The decision was Block; :meth:`hookbus.Decision.raise_for_block` raises it.

    Attributes:
        id: the decision's id, which an end user may be shown as reference.
        cause: ``verdict`` when a plugin said so; anything else is what kept the bus from a
            decision, such as ``failure``, ``deadline`` or ``unavailable``.
        by: the plugin whose Block is the primary one, or None.
        reason: for operators, never for end users.
        code: for programs, or None.
        message: may be shown to an end user; None when the plugin gave none.
    """

    def __init__(
        self,
        id: str,
        by: str | None,
        reason: str,
        code: str | None,
        message: str | None,
        cause: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.id = id
        self.cause = cause
        self.by = by
        self.reason = reason
        self.code = code
        self.message = message


class Unavailable(HookbusError):
    """No decision could be had; the outcome must not be guessed.

    Attributes:
        code: ``no_responders`` (no dispatcher listens), ``timeout`` (none answered in time) or
            ``disconnected`` (the connection to the broker is down).
    """

    def __init__(self, message: str, *, code: UnavailableCode) -> None:
        super().__init__(message)
        self.code: UnavailableCode = code


class TransportError(HookbusError):
    """A message could not be sent or was not answered."""


class NoResponders(TransportError):
    """Nothing is subscribed to the subject."""


class RequestTimeout(TransportError):
    """No reply came in time."""


class Disconnected(TransportError):
    """The connection to the broker is down. What was not sent is not sent later."""


class PayloadTooLarge(TransportError):
    """A message larger than the broker takes.

    Attributes:
        size: bytes of the message, headers included.
        max_payload: bytes that the broker takes at most, as it said when we connected.
    """

    def __init__(self, size: int, max_payload: int) -> None:
        super().__init__(f"message of {size} bytes, the broker takes at most {max_payload}")
        self.size = size
        self.max_payload = max_payload


class PublishDenied(TransportError):
    """The broker's permissions refuse to publish on the subject."""


class SubscriptionDenied(TransportError):
    """The broker's permissions refuse a subscription, without which the rest is of no use."""


class ConnectFailed(TransportError):
    """The broker could not be reached within the connect timeout."""


class ConnectRefused(ConnectFailed):
    """The broker refuses the credentials, or its certificate is refused: trying again is no use."""


class PermanentError(HookbusError):
    """An observe hook's handler raises it where trying again would be of no use.

    The event becomes a dead letter at once, with this text as its error: as with the reason of a
    Block, put nothing secret in it.
    """


class KeyConflict(HookbusError):
    """Another writer changed the key first; read it again and retry."""


class BadPatch(HookbusError):
    """A patch that cannot be decoded or applied; nothing of it was applied."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes:
        at: its place in the document: ``hooks[0].timeout_ms``; ``""`` is all of it.
        message: ``expected 1 … 30000, got 0``.
    """

    at: str
    message: str

    def __str__(self) -> str:
        return f"{self.at}: {self.message}" if self.at else self.message


class InvalidManifest(HookbusError):
    """What a plugin declares cannot be bound.

    Attributes:
        problems: a :class:`Problem` for each reason.
    """

    def __init__(self, who: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{who}: " + "; ".join(str(problem) for problem in problems))
        self.problems = problems


class SettingsError(HookbusError):
    """A settings file that cannot be used; the message names file and line or field."""


class CredentialsError(SettingsError):
    """Credentials that cannot be used, made or found; the message never shows a seed."""


class ControlError(HookbusError):
    """The registry refused an operator's request, or none answered.

    Attributes:
        code: for programs, as the registry says it: ``unknown_plugin``, ``owned``,
            ``unbindable``, ``invalid_settings``, …; ``no_registry`` when none answered.
        pointer: JSON Pointer of the offending member of the request; ``""`` is all of it.
    """

    def __init__(self, message: str, *, code: str, pointer: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.pointer = pointer


class BrokerError(HookbusError):
    """The embedded nats-server cannot be found, started or given its directory."""
