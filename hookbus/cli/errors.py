"""How the command line ends when something is wrong: one line, and the protocol's exit codes."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from hookbus.cli.printable import clean
from hookbus.cli.streams import say_error
from hookbus.errors import (
    ControlError,
    HookbusError,
    TransportError,
    Unavailable,
)

DONE: Final = 0  # also: outcome continue or intercept
FOUND: Final = 1  # a check found something, or a bus did not become ready
USAGE: Final = 2  # wrong use, or an invalid event
BLOCKED_BY_VERDICT: Final = 3
BLOCKED_OTHERWISE: Final = 4
UNDECIDED: Final = 5  # no broker, no dispatcher, no registry


class UsageError(HookbusError):
    """What was asked for cannot be done as it was asked."""


class NotReady(HookbusError):
    """A process of the local bus ended, or was not ready in time."""


def exit_code(error: HookbusError) -> int:
    """Tell how the process ends because of *error*."""
    match error:
        case NotReady():
            return FOUND
        case ControlError(code="no_registry"):
            return UNDECIDED
        case ControlError(code="timeout" | "failed"):
            return FOUND
        case Unavailable() | TransportError():
            return UNDECIDED
    return USAGE


def fail(message: str, code: int) -> NoReturn:
    """End the process with a message on stderr; it may quote what anybody wrote."""
    say_error("\n".join(map(clean, f"hookbus: {message}".split("\n"))))
    sys.exit(code)
