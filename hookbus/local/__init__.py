"""Local dispatch: the same Emitter, with the dispatcher in the emitter's own process.

The event is decided here; plugins are asked over the broker, and records go to the streams.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from hookbus import subjects
from hookbus.config.connection import Connection
from hookbus.emitter import DEFAULT_TIMEOUT, Emitter, OnUnavailable, emitter_over
from hookbus.errors import CredentialsError
from hookbus.link import reach

try:
    from hookbus.local.connection import LocalConnection
except ModuleNotFoundError as e:
    raise ModuleNotFoundError(
        f"hookbus.local decides in this process, and needs the module {e.name!r} for that:"
        " pip install 'hookbus[server]'",
        name=e.name,
    ) from e

__all__ = ["connect"]

KIND: Final = "local"  # of credentials


def connect(
    url: str | None = None,
    *,
    source: str,
    principal: str = subjects.ANONYMOUS,
    on_unavailable: OnUnavailable = "raise",
    timeout: float | None = DEFAULT_TIMEOUT,
    **connection: Any,
) -> Emitter:
    """Prepare an emitter that decides its events itself, opened by ``async with`` or ``open()``.

    *url*, *source*, *principal*, *on_unavailable*, *timeout* (seconds) and *connection* are as of
    :meth:`hookbus.Emitter.connect`; the credentials are of kind ``local``.

    >>> async with hookbus.local.connect("nats://127.0.0.1:4222", source="/chat") as bus:
    ...     decision = await bus.emit("message_received", {"text": "hi"}, timeout=0.5)

    Raises:
        InvalidOption, TypeError: An option cannot be.
        SettingsError: A file or a variable cannot be used, or the credentials are another
            principal's, or of another kind.
    """
    to, options = reach(url, principal, connection)
    _check_kind(to)
    return emitter_over(
        partial(LocalConnection.open, to, source, {"name": "hookbus-local", **options}),
        source=source,
        principal=to.principal,
        on_unavailable=on_unavailable,
        timeout=timeout,
    )


def _check_kind(to: Connection) -> None:
    if to.kind not in (None, KIND):
        raise CredentialsError(
            f"credentials {str(to.creds)!r} of {to.principal!r}: expected those of kind {KIND!r},"
            f" found {to.kind!r}: a dispatcher in this process asks plugins and records decisions"
            f" under its emitter's name; make some: 'hookbus credentials create {KIND} NAME'"
        )
