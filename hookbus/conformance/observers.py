"""The check of an observe hook: it acknowledges to streams, and answers nobody else."""

from __future__ import annotations

import asyncio
from typing import Final

from hookbus.conformance.caller import SETTLE
from hookbus.conformance.check import Check, Probe
from hookbus.conformance.report import Seen, failed, passed
from hookbus.wire.call import encode_observed


async def _acknowledges_streams_only(probe: Probe) -> Seen:
    # neither an event nor from a stream: nothing is observed because of us
    exchange = await probe.caller.send(
        probe.hook, lambda call: encode_observed("conformance", b"{}", b"null")
    )
    probe.asked.append(exchange)
    await asyncio.sleep(SETTLE)
    if exchange.is_absent:
        return failed(f"no responders: nothing is subscribed to {probe.hook.subject}")
    if exchange.replies:
        return failed("it answered on a reply subject that is none of a stream")
    return passed("a message that came from no stream was not answered")


OBSERVERS: Final = (
    Check(
        "streams-only",
        "An observer acknowledges only if the reply subject begins with '$JS.ACK.'.",
        _acknowledges_streams_only,
        needs=(),
    ),
)
