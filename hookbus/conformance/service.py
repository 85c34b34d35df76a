"""The check of the Service API: is a plugin found in the shape of ADR-32? It is optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.conformance.report import Finding, Seen, passed, skipped, warned
from hookbus.conformance.target import Target
from hookbus.transport import Transport
from hookbus.wire.limits import NOT_JSON

WINDOW: Final = 0.2  # seconds to collect answers

_RULE: Final = "Optional: $SRV.PING, INFO and STATS are answered in the shape of ADR-32."

_COMMON: Final[Mapping[str, type]] = {"name": str, "id": str, "version": str, "metadata": dict}
_SHAPES: Final[Mapping[str, Mapping[str, type]]] = {
    "PING": _COMMON,
    # some clients say null for a description that nobody gave
    "INFO": {**_COMMON, "endpoints": list},
    "STATS": {**_COMMON, "started": str, "endpoints": list},
}
_ENDPOINT: Final[Mapping[str, type]] = {"name": str, "subject": str, "queue_group": str}
_ENDPOINTS: Final[Mapping[str, Mapping[str, type]]] = {
    "INFO": _ENDPOINT,
    "STATS": {
        **_ENDPOINT,
        "num_requests": int,
        "num_errors": int,
        "last_error": str,
        "processing_time": int,
        "average_processing_time": int,
    },
}


async def check_service(transport: Transport, target: Target) -> Finding:
    """Ask who is there, and compare the answers with what ADR-32 says."""
    seen = (
        skipped("a dispatcher's credentials may not ask; 'hookbus plugins' shows who answers")
        if target.is_dispatchers_view
        else await _look(transport, target.plugin)
    )
    return Finding("service-api", None, seen.status, seen.text, _RULE)


async def _look(transport: Transport, plugin: str) -> Seen:
    count = 0
    for verb in _SHAPES:
        subject = subjects.service(verb, plugin)
        replies = await transport.request_many(subject, b"", window=WINDOW)
        if not replies:
            shown = "; 'hookbus plugins' shows no replica" if verb == "PING" else ""
            return warned(f"{subject} is not answered{shown}")
        for reply in replies:
            problem = problem_of(verb, plugin, reply.data)
            if problem is not None:
                return warned(f"{subject}: {problem}")
        count = len(replies)
    return passed(f"PING, INFO and STATS are answered by {count}")


def problem_of(verb: str, plugin: str, body: bytes) -> str | None:
    """Say what is wrong with an answer to ``PING``, ``INFO`` or ``STATS``; None is nothing."""
    try:
        answer = msgspec.json.decode(body)
    except NOT_JSON as e:
        return f"not JSON: {e}"
    if not isinstance(answer, dict):
        return "expected an object"
    for member, expected in (("type", _type(verb)), ("name", plugin)):
        if answer.get(member) != expected:
            return f"{member}: expected {expected!r}, got {answer.get(member)!r}"
    wrong = _misshapen(answer, _SHAPES[verb], "")
    if wrong is None and verb in _ENDPOINTS:
        for index, endpoint in enumerate(answer["endpoints"]):
            wrong = wrong or _misshapen(endpoint, _ENDPOINTS[verb], f"endpoints[{index}].")
    return wrong


def _type(verb: str) -> str:
    return f"io.nats.micro.v1.{verb.lower()}_response"


def _misshapen(value: Any, shape: Mapping[str, type], at: str) -> str | None:
    members = value if isinstance(value, dict) else {}
    for member, kind in shape.items():
        if not isinstance(members.get(member), kind):
            return f"{at}{member}: expected a {kind.__name__}, got {members.get(member)!r}"
    return None
