"""Decisions and refusals: what the emitter is answered. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from hookbus.errors import InvalidEvent
from hookbus.models import Decision
from hookbus.wire.limits import NOT_JSON
from hookbus.wire.verdict import ERROR_CODE_HEADER, ERROR_HEADER

_NOT_PRINTABLE: Final = re.compile(r"[^ -~]")

encode_decision = msgspec.json.Encoder().encode
decode_decision = msgspec.json.Decoder(Decision).decode


class _Versioned(msgspec.Struct, frozen=True, gc=False):
    v: int


_decode_version = msgspec.json.Decoder(_Versioned).decode


def decode_reply(body: bytes) -> Decision:
    """Decode what answered an emit: it must say which version it is, whatever that is.

    Raises:
        msgspec.DecodeError: It is no decision.
    """
    if not body.startswith(b'{"v":'):  # as ours do: one more pass over the decision is saved
        _decode_version(body)
    return decode_decision(body)


def encode_record(decision: Decision) -> bytes:
    """Encode what is recorded and observed: the decision without its data."""
    if decision.data is not msgspec.UNSET:
        decision = msgspec.structs.replace(decision, data=msgspec.UNSET)
    return encode_decision(decision)


def encode_with_data(record: bytes, data: bytes) -> bytes:
    """Put the decision together of what :func:`encode_record` made of it and its data's bytes."""
    return b"".join((record[:-1], b',"data":', data, b"}"))  # the last member is the last field


class ErrorBody(msgspec.Struct, frozen=True, gc=False):
    """Why nothing was decided, or why an operator's request was refused."""

    code: str
    message: str
    pointer: str = ""


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    v: int
    error: ErrorBody


_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def encode_refusal(error: ErrorBody) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a refusal: 400 for what the emitter sent, 503 for our own."""
    headers = {
        ERROR_CODE_HEADER: "503" if error.code == "unavailable" else "400",
        # header values are one line of printable characters
        ERROR_HEADER: _NOT_PRINTABLE.sub("?", error.message[:200]),
    }
    return msgspec.json.encode(_Refusal(1, error)), headers


def refusal_of(error: InvalidEvent) -> ErrorBody:
    """Say on the wire what *error* says in Python."""
    return ErrorBody(error.code, error.message, error.pointer)


def decode_refusal(body: bytes, headers: Mapping[str, str] | None) -> ErrorBody | None:
    """Return the refusal, or None when the reply is a decision."""
    if not headers or ERROR_CODE_HEADER not in headers:
        return None
    try:
        refusal = _decode_refusal(body).error
    except NOT_JSON:
        return ErrorBody("unavailable", headers.get(ERROR_HEADER, "no description"))
    if headers[ERROR_CODE_HEADER] == "503":  # whatever its body says, the bus could not decide
        return msgspec.structs.replace(refusal, code="unavailable")
    return refusal


class _Notified(msgspec.Struct, frozen=True, gc=False):
    v: Literal[1]
    stored: bool


_decode_notified = msgspec.json.Decoder(_Notified).decode


def is_stored(body: bytes) -> bool | None:
    """Tell whether a stream has a notified event; None is no answer that says so, or not."""
    try:
        return _decode_notified(body).stored
    except NOT_JSON:
        return None


def encode_error(error: ErrorBody) -> bytes:
    """Encode the answer to an operator's request that was refused."""
    return msgspec.json.encode(_Refusal(1, error))


def encode_answer(members: Mapping[str, Any]) -> bytes:
    """Encode the answer to an operator's request that was done."""
    return msgspec.json.encode({"v": 1, **members})
