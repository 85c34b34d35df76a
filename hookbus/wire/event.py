"""Events at the door: bytes and headers into a checked CloudEvent. Pure.

The body's bytes are kept: calls are put together around them, so that an event that nobody
changes is never encoded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from hookbus import subjects
from hookbus.errors import InvalidEvent
from hookbus.wire.limits import MAX_DEPTH, MAX_TEXT, NOT_JSON, cut, exceeds_depth
from hookbus.wire.trace import Trace, trace_of

MIN_TIMEOUT_MS: Final = 10

TIMEOUT_HEADER: Final = "hookbus-timeout-ms"
_TRACE_HEADERS: Final = ("traceparent", "tracestate")
_JSON_TYPES: Final = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_PATH: Final = re.compile(r" - at `\$([^`]*)`$")
_FIELD: Final = re.compile(r"field `([^`]*)`")


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The attributes that hookbus knows, and the decoded data."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    hbtimeoutms: int | None = None
    hbdryrun: bool | None = None
    hbchain: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    dataref: Any = None
    data_base64: Any = None
    data: Any = None


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A checked event and how it came in.

    Attributes:
        body: the event as one JSON object, structured mode, UTF-8.
        principal: from the emit subject, where the broker binds it.
        chain: plugins whose handlers led here, oldest first.
        trace: the trace that it belongs to; None without one.
    """

    event: Event
    body: bytes
    principal: str
    chain: tuple[str, ...] = ()
    trace: Trace | None = None

    @property
    def dry_run(self) -> bool:
        return self.event.hbdryrun is True

    def placed(self, trace: Trace) -> Inbound:
        """The same event with another place in a trace."""
        return Inbound(self.event, self.body, self.principal, self.chain, trace)


class _Plain(Event, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """An event without extension attributes, as nearly every one is."""


_decode_plain = msgspec.json.Decoder(_Plain).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_json = msgspec.json.Decoder().decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def decode_event(
    body: bytes, headers: Mapping[str, str] | None, principal: str, event_type: str
) -> Inbound:
    """Check an event at the door; *principal* and *event_type* are the subject's tokens.

    Raises:
        InvalidEvent: With the pointer of the first field that is wrong.
    """
    if headers:
        body = _normalise(body, headers)
    try:
        if not body.isascii():
            body.decode()  # msgspec skips the inside of members that it does not know
        event = _decoded(body)
    except UnicodeDecodeError as e:
        raise InvalidEvent(f"not UTF-8: byte {e.start} is {body[e.start]:#04x}") from e
    except RecursionError as e:
        raise InvalidEvent(f"nested deeper than {MAX_DEPTH} levels", pointer="/data") from e
    except msgspec.DecodeError as e:
        raise _explain(e) from e
    if exceeds_depth(body, MAX_DEPTH + 1):  # the envelope is one level
        raise InvalidEvent(f"nested deeper than {MAX_DEPTH} levels", pointer="/data")
    _check(event, event_type)
    if not subjects.is_name(principal):
        raise InvalidEvent(
            f"the subject names the principal {cut(principal, 80)!r};"
            f" expected {subjects.NAME.pattern}"
        )
    return Inbound(event, body, principal, _chain(event.hbchain), trace_of(event.traceparent))


def replace_members(body: bytes, members: Mapping[str, Any]) -> bytes:
    """Exchange members of an event's object; all others keep their bytes."""
    kept = _decode_members(body)
    for name, value in members.items():
        kept[name] = value if isinstance(value, msgspec.Raw) else msgspec.Raw(_encode(value))
    return _encode(kept)


def envelope_of(body: bytes) -> bytes:
    """An event's bytes up to its data: followed by any JSON and ``}``, they are an event."""
    members = _decode_members(body)
    members.pop("data", None)
    return b'%b,"data":' % _encode(members)[:-1]


def _decoded(body: bytes) -> Event:
    try:
        return _decode_plain(body)
    except msgspec.ValidationError:
        event = _decode_event(body)
        # 1e400 in an extension is skipped here, and no plugin could read its call
        _decode_json(body)
        return event


def _check(event: Event, event_type: str) -> None:
    if event.specversion != "1.0":
        raise InvalidEvent(f"expected '1.0', got {event.specversion!r}", pointer="/specversion")
    if not event.id:
        raise InvalidEvent("expected a text that is not empty", pointer="/id")
    if not event.source:
        raise InvalidEvent("expected a URI reference that is not empty", pointer="/source")
    if len(event.id) > MAX_TEXT or len(event.source) > MAX_TEXT:
        raise _too_long(event)
    if event.type != event_type:
        raise InvalidEvent(
            f"the subject says {event_type!r}, the body {event.type!r}", pointer="/type"
        )
    if not subjects.is_event_type(event.type):
        raise InvalidEvent(
            f"expected tokens like 'tool_invoked' joined by dots, got {event.type!r}",
            pointer="/type",
        )
    if event.hbtimeoutms is not None and event.hbtimeoutms < MIN_TIMEOUT_MS:
        raise InvalidEvent(
            f"expected at least {MIN_TIMEOUT_MS} ms, got {event.hbtimeoutms}",
            pointer="/hbtimeoutms",
        )
    if event.datacontenttype is not None and not _JSON_TYPES.fullmatch(event.datacontenttype):
        raise InvalidEvent(
            f"expected JSON, got {event.datacontenttype!r}", pointer="/datacontenttype"
        )
    if event.dataref is not None:
        raise InvalidEvent("not supported in version 1; send the data itself", pointer="/dataref")
    if event.data_base64 is not None:
        raise InvalidEvent("expected JSON in 'data', not base64", pointer="/data_base64")


def _too_long(event: Event) -> InvalidEvent:
    """Both are in the record of the decision: a few events must not fill its stream."""
    name = "id" if len(event.id) > MAX_TEXT else "source"
    length = len(getattr(event, name))
    return InvalidEvent(f"expected at most {MAX_TEXT} characters, got {length}", pointer=f"/{name}")


def _chain(names: str | None) -> tuple[str, ...]:
    if not names:
        return ()
    chain = tuple(names.split(","))
    for name in chain:
        if not subjects.is_name(name):
            raise InvalidEvent(
                f"expected plugin names joined by commas, got {name!r}", pointer="/hbchain"
            )
    return chain


def _normalise(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Bring binary mode and the headers at the door into the body, once."""
    given = {name.lower(): value for name, value in headers.items()}
    structured = given.get("content-type", "").startswith("application/cloudevents")
    if "ce-specversion" in given and not structured:
        body = _structured(body, given)
    added: dict[str, Any] = {name: given[name] for name in _TRACE_HEADERS if name in given}
    if TIMEOUT_HEADER in given:
        added["hbtimeoutms"] = _integer(given[TIMEOUT_HEADER], "/hbtimeoutms")
    if not added:
        return body
    try:
        kept = _decode_members(body)
        if "hbtimeoutms" in added and "hbtimeoutms" in kept:
            added["hbtimeoutms"] = min(
                added["hbtimeoutms"], msgspec.json.decode(kept["hbtimeoutms"], type=int)
            )
            del kept["hbtimeoutms"]
    except NOT_JSON:
        return body  # decode_event says what is wrong with it
    # an attribute wins over its header
    return replace_members(body, {k: v for k, v in added.items() if k not in kept})


def _structured(body: bytes, headers: Mapping[str, str]) -> bytes:
    attributes: dict[str, Any] = {
        name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }
    if "hbtimeoutms" in attributes:
        attributes["hbtimeoutms"] = _integer(attributes["hbtimeoutms"], "/hbtimeoutms")
    if "hbdryrun" in attributes:
        attributes["hbdryrun"] = _boolean(attributes["hbdryrun"], "/hbdryrun")
    if "content-type" in headers:
        attributes["datacontenttype"] = headers["content-type"]
    if body:
        try:
            msgspec.json.decode(body)
        except NOT_JSON as e:
            raise InvalidEvent(f"not JSON: {e}", pointer="/data") from e
        attributes["data"] = msgspec.Raw(body)
    return _encode(attributes)


def _integer(text: str, pointer: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise InvalidEvent(f"expected an integer, got {text!r}", pointer=pointer)
    return int(text)


def _boolean(text: str, pointer: str) -> bool:
    if text not in ("true", "false"):  # a dry run that is taken for a real event has effects
        raise InvalidEvent(f"expected true or false, got {cut(text, 40)!r}", pointer=pointer)
    return text == "true"


def _explain(error: msgspec.DecodeError) -> InvalidEvent:
    """Turn msgspec's ``… - at `$.data.x[0]``` into a message and a JSON Pointer."""
    text = str(error)
    path = _PATH.search(text)
    pointer = ""
    if path:
        text = text[: path.start()]
        pointer = re.sub(r"\.|\[(\d+)\]", lambda m: "/" + (m[1] or ""), path[1].split("[...]")[0])
    missing = _FIELD.search(text)
    if missing:
        pointer += f"/{missing[1]}"
    is_sentence = text[1:2].islower()  # "JSON" stays as it is
    return InvalidEvent(text[:1].lower() + text[1:] if is_sentence else text, pointer=pointer)
