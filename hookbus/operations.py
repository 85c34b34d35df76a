"""Operators' requests, sent; the registry's `control` carries them out."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hookbus import subjects
from hookbus.errors import ControlError, NoResponders, RequestTimeout
from hookbus.transport import Transport
from hookbus.wire.decision import ErrorBody

REQUEST_TIMEOUT: Final = 5.0  # seconds, beside what the request itself may wait
DEFAULT_WAIT_MS: Final = 5_000


async def request(
    transport: Transport, principal: str, operation: str, **members: Any
) -> dict[str, Any]:
    """Send one operator's request and return the answer's members.

    Raises:
        ControlError: The registry refused it, or there is no registry.
        TransportError: It was not answered.
    """
    timeout = REQUEST_TIMEOUT + members.get("timeout_ms", DEFAULT_WAIT_MS) / 1000
    subject = subjects.control(principal, operation)
    body = msgspec.json.encode({"v": 1, **members})
    try:
        reply = await transport.request(subject, body, timeout=timeout)
    except NoResponders as e:
        raise ControlError(
            "no registry is listening; start one: 'hookbus up', or 'hookbus serve registry'",
            code="no_registry",
        ) from e
    except RequestTimeout as e:
        raise RequestTimeout(
            f"the registry has not answered {operation!r} within {timeout:g} s; it may still carry"
            " it out: look at 'hookbus settings history'"
        ) from e
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    if "error" in answer:
        error = msgspec.convert(answer["error"], ErrorBody)
        raise ControlError(error.message, code=error.code, pointer=error.pointer)
    return answer
