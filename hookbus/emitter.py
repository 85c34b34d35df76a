"""Emitting: fire an event, get the decision."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, Self, TypeAlias

import msgspec

from hookbus import json_values, subjects
from hookbus.attributes import check_attributes, check_dry_run, check_source, check_timeout
from hookbus.decided import decided, raise_refusal, unavailable
from hookbus.errors import (
    ConnectFailed,
    Disconnected,
    InvalidEvent,
    InvalidOption,
    NoResponders,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
)
from hookbus.link import Connected, Link, reach
from hookbus.message import Message, Requests
from hookbus.models import Cause, Decision, EventRef, Outcome
from hookbus.otel.emits import Emits
from hookbus.printable import clean
from hookbus.seldom import Seldom
from hookbus.timestamp import now
from hookbus.transport import NatsTransport
from hookbus.wire.call import whole_milliseconds
from hookbus.wire.decision import is_stored

OnUnavailable: TypeAlias = Literal["raise", "block", "continue"]

DEFAULT_TIMEOUT: Final = 1.0  # seconds
LONGEST_WAIT: Final = 31.0  # seconds; an event without a timeout of its own may take up to 30

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class Emitter:
    """Fires events and returns decisions. One per process is enough; it may be shared by all tasks.

    >>> async with Emitter.connect("nats://127.0.0.1:4222", source="/chat") as bus:
    ...     decision = await bus.emit("message_received", {"text": "hi"}, timeout=0.5)
    ...     decision.raise_for_block()
    """

    def __init__(
        self,
        transport: Requests | None = None,
        *,
        source: str,
        principal: str = subjects.ANONYMOUS,
        on_unavailable: OnUnavailable = "raise",
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        """Emit over *transport*, which stays the caller's; :meth:`connect` makes one.

        Args:
            source: the CloudEvents source of every event, a URI reference such as ``/chat``.
            principal: who emits; with authentication the broker binds it.
            on_unavailable: what an emit does when no decision can be had.
            timeout: seconds for each event that names none, 0.01 … 86400; None leaves it to the
                bus.

        Raises:
            InvalidOption, TypeError: An option cannot be.
        """
        if not isinstance(principal, str) or not subjects.is_name(principal):
            raise InvalidOption(f"principal: expected {subjects.NAME.pattern}, got {principal!r}")
        check_source(source)
        check_timeout(timeout)
        if on_unavailable not in ("raise", "block", "continue"):
            raise InvalidOption(
                f"on_unavailable: expected 'raise', 'block' or 'continue', got {on_unavailable!r}"
            )
        self._transport = transport
        self._source = source
        self._principal = principal
        self._on_unavailable = on_unavailable
        self._timeout = timeout
        self._spans = Emits(principal)
        self._seldom = Seldom(time.monotonic)
        self._connect: Callable[[], Awaitable[Connected]] | None = None
        self._link: Link | None = None

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        source: str,
        principal: str = subjects.ANONYMOUS,
        on_unavailable: OnUnavailable = "raise",
        timeout: float | None = DEFAULT_TIMEOUT,
        **connection: Any,
    ) -> Self:
        """Prepare an emitter with its own connection, opened by ``async with`` or :meth:`open`.

        *source*, *on_unavailable* and *timeout* are as of :class:`Emitter`.

        Without *url* the broker is ``HOOKBUS_NATS_URL`` (else ``nats://127.0.0.1:4222``), and what
        is not said here is taken from ``HOOKBUS_PRINCIPAL``, ``HOOKBUS_CREDS`` and
        ``HOOKBUS_TLS_…``; with a *url* nothing is taken from the environment.

        *connection*: the files ``creds`` (whose principal is then ours), ``tls_ca``, ``tls_cert``
        and ``tls_key``; and what goes to :meth:`hookbus.transport.NatsTransport.connect`:
        ``name``, ``connect_timeout`` (seconds) and ``options``, such as ``{"tls": ssl_context}``.

        Raises:
            InvalidOption, TypeError: An option cannot be.
            SettingsError: A file or a variable cannot be used, or the credentials are another
                principal's.
        """
        to, options = reach(url, principal, connection)
        emitter = cls(
            source=source, principal=to.principal, on_unavailable=on_unavailable, timeout=timeout
        )
        emitter._connect = partial(
            NatsTransport.connect, to.nats_url, principal=to.principal, **options
        )
        return emitter

    @property
    def is_connected(self) -> bool:
        """Tell whether the broker is reached now; whether anybody decides, only an emit tells."""
        try:
            return self._opened().is_connected
        except (Disconnected, RuntimeError):
            return False

    async def open(self) -> Self:
        """Connect.

        Who chose to block or to continue without a decision may begin without a broker: once the
        connect timeout is over, emits do that at once, until an attempt in the background succeeds.

        Raises:
            ConnectFailed: The broker cannot be reached within the connect timeout, and
                ``on_unavailable`` is ``"raise"``.
        """
        if self._connect is not None:
            keeps_trying = self._on_unavailable != "raise"
            if self._link is None:
                self._link = Link(self._connect, keeps_trying=keeps_trying)
            with contextlib.suppress(*[ConnectFailed] if keeps_trying else []):
                await self._link.open()
        return self

    async def close(self) -> None:
        """Close a connection that :meth:`open` made."""
        await self.hang_up()
        self._link = None

    async def hang_up(self) -> None:
        """Close the connection, but let emits end as without one until :meth:`close`."""
        if self._link is not None:
            await self._link.close()

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def emit(
        self,
        type: str,
        data: Any,
        *,
        timeout: float | None = None,
        dry_run: bool = False,
        **attributes: Any,
    ) -> Decision:
        """Fire an event and return what the bus decides.

        Args:
            type: the event type, ``"tool_invoked"``.
            data: JSON values or a payload model.
            timeout: seconds until the decision must be here, 0.01 … 86400; None is the emitter's.
            dry_run: ask, but let nothing in the world change.
            attributes: further CloudEvents attributes: ``id``, ``subject``, ``time``,
                ``traceparent``, ``tracestate``, or extensions (a-z and 0-9, at most 20).

        Raises:
            TypeError: An attribute's name is none, or a slip for another one; its value is no str,
                int or bool; *dry_run* is no bool.
            InvalidOption: The timeout is out of its bounds.
            InvalidEvent: The event was refused, here or by the bus; ``pointer`` names the field.
            Unavailable: No decision could be had and ``on_unavailable`` is ``"raise"``.
            PublishDenied: The broker's permissions refuse this principal or type, whatever
                ``on_unavailable`` says: the bus is there, and said no to this emitter.
        """
        event = self._event(type, data, attributes, timeout, dry_run=dry_run)
        timeout = self._timeout if timeout is None else timeout
        if timeout is not None:
            event = {"hbtimeoutms": whole_milliseconds(timeout), **event}
        with self._spans.around("emit", event) as span:
            try:
                reply = await self._request(
                    subjects.emit(self._principal, type), _encoded(event), _wait(timeout)
                )
                decision = decided(reply, event)
            except PayloadTooLarge as e:
                reason = f"event_too_large: {e}"
                decision = self._own(event, "block", "limit", "event_too_large", reason)
            except Unavailable as e:
                decision = self._without_decision(event, e)
            span.decided(decision)
            return decision

    async def notify(
        self, type: str, data: Any, *, timeout: float | None = None, **attributes: Any
    ) -> None:
        """Tell the observers of *type*; return once the stream has the event. Nobody decides.

        *data*, *timeout* and *attributes* are as of :meth:`emit`.

        Raises:
            TypeError, InvalidOption, InvalidEvent: As :meth:`emit`.
            Unavailable: It is not known to be stored.
            PublishDenied: As :meth:`emit`.
        """
        event = self._event(type, data, attributes, timeout)
        timeout = self._timeout if timeout is None else timeout
        with self._spans.around("notify", event):
            try:
                reply = await self._request(
                    subjects.notify(self._principal, type), _encoded(event), _wait(timeout)
                )
            except PayloadTooLarge as e:
                raise InvalidEvent(str(e)) from e
            raise_refusal(reply)
            stored = is_stored(reply.data)
            if stored is None or not (stored or "hbdryrun" in event):  # a dry run is stored nowhere
                raise unavailable("no_responders", "the answer does not say that it is stored")

    def _event(
        self,
        type: str,
        data: Any,
        attributes: Mapping[str, Any],
        timeout: float | None,
        *,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Put the event together; what is wrong with it must never pass as "unavailable"."""
        check_timeout(timeout)
        check_dry_run(dry_run)
        check_attributes(attributes)
        if not isinstance(type, str) or not subjects.is_event_type(type):
            raise InvalidEvent(
                f"expected tokens like 'tool_invoked' joined by dots, got {type!r}", pointer="/type"
            )
        event = {
            "specversion": "1.0",
            "id": os.urandom(16).hex(),
            "source": self._source,
            "type": type,
            "time": now(),
            **attributes,
            "data": _json_values(data),
        }
        if dry_run:
            event["hbdryrun"] = True
        return event

    async def _request(self, subject: str, body: bytes, timeout: float) -> Message:
        try:
            return await self._opened().request(subject, body, timeout=timeout)
        except NoResponders as e:
            raise unavailable(
                "no_responders",
                "no dispatcher is listening; start one: 'hookbus up', or"
                " 'hookbus serve dispatcher'",
            ) from e
        except RequestTimeout as e:
            raise unavailable("timeout", f"no decision within {timeout} s") from e
        except Disconnected as e:
            raise unavailable("disconnected", f"not connected to the broker: {e}") from e

    def _opened(self) -> Requests:
        if self._link is not None:
            return self._link.transport
        if self._transport is None:
            raise RuntimeError("the emitter is not open; use 'async with' or await open() first")
        return self._transport

    def _without_decision(self, event: Mapping[str, Any], error: Unavailable) -> Decision:
        """R30: do what the caller chose."""
        if self._on_unavailable == "raise":
            raise error
        self._tell(error)
        if self._on_unavailable == "block":
            return self._own(event, "block", "unavailable", error.code, str(error))
        warning = f"hookbus: no decision could be had: {error}; on_unavailable=continue"
        return msgspec.structs.replace(
            self._own(event, "continue", None, error.code, None),
            degraded=True,
            warnings=(warning,),
            data=event["data"],
        )

    def _tell(self, error: Unavailable) -> None:
        """Log it, seldom: without a bus it is every emit."""
        left_out = self._seldom.left_out(error.code)
        if left_out is not None:
            more = f" left_out={left_out}" if left_out else ""
            said = clean(str(error))  # what answered may have chosen the words
            log.warning("no_decision: %s; on_unavailable=%s%s", said, self._on_unavailable, more)

    def _own(
        self,
        event: Mapping[str, Any],
        outcome: Outcome,
        cause: Cause | None,
        code: str,
        reason: str | None,
    ) -> Decision:
        """A decision that no dispatcher made."""
        return Decision(
            id=os.urandom(16).hex(),
            event=EventRef(event["id"], event["source"], event["type"]),
            outcome=outcome,
            principal=self._principal,
            cause=cause,
            code=code,
            reason=reason,
            data=None,
        )


def emitter_over(connect: Callable[[], Awaitable[Connected]], **options: Any) -> Emitter:
    """Prepare an emitter that opens what *connect* makes; *options* are those of Emitter."""
    emitter = Emitter(**options)
    emitter._connect = connect
    return emitter


def _json_values(data: Any) -> Any:
    try:
        values = json_values.plain(data)
        json_values.check(values)
    except json_values.NotJson as e:
        raise InvalidEvent(e.message, pointer=f"/data{e.pointer}") from e
    return values


def _encoded(event: Mapping[str, Any]) -> bytes:
    try:
        return _encode(event)
    except (TypeError, ValueError, RecursionError) as e:  # half of a surrogate pair, …
        problem = json_values.locate(event, e)
        raise InvalidEvent(problem.message, pointer=problem.pointer or "/data") from e


def _wait(timeout: float | None) -> float:
    return LONGEST_WAIT if timeout is None else timeout
