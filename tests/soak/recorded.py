"""What is in the streams at the end: every decision once, as its emitter got it; nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig

from hookbus import subjects
from hookbus.transport import NatsTransport
from hookbus.wire.decision import decode_decision, encode_record

BATCH: Final = 500
PATIENCE: Final = 30.0  # seconds for what is still on its way


@dataclass
class Recorded:
    """How the stream of decisions differs from what emitters got."""

    messages: int = 0
    missing: int = 0
    twice: int = 0
    other: list[str] = field(default_factory=list)
    #: Decided, but nobody got it: its emitter had gone, or its dispatcher died.
    unknown: int = 0


async def compare(transport: NatsTransport, decisions: dict[str, int]) -> Recorded:
    """Read the whole stream; *decisions*: by id, a digest of the decision without its data."""
    found = Recorded()
    seen: dict[str, int] = {}
    async for body, subject in _messages(transport):
        if subject.split(".")[2] == "shadow":
            continue
        found.messages += 1
        decision = decode_decision(body)
        seen[decision.id] = seen.get(decision.id, 0) + 1
        expected = decisions.get(decision.id)
        if expected is None:
            found.unknown += 1
        elif hash(encode_record(decision)) != expected:
            found.other.append(decision.id)
    found.missing = len(decisions.keys() - seen.keys())
    found.twice = sum(1 for count in seen.values() if count > 1)
    return found


async def _messages(transport: NatsTransport) -> AsyncIterator[tuple[bytes, str]]:
    config = ConsumerConfig(ack_policy=AckPolicy.NONE)
    everything = "hookbus.decision.>"
    pull = await transport.jetstream.pull_subscribe(
        everything, stream=subjects.DECISIONS_STREAM, config=config
    )
    info = await transport.jetstream.stream_info(subjects.DECISIONS_STREAM)
    left = info.state.messages
    while left > 0:
        try:
            batch = await pull.fetch(min(BATCH, left), timeout=5)
        except NothingCame:
            return
        left -= len(batch)
        for message in batch:
            yield message.data, message.subject
    await pull.unsubscribe()


async def observers_are_done(transport: NatsTransport) -> int:
    """Wait until observers have nothing left; return how many messages still wait."""
    deadline = time.monotonic() + PATIENCE
    while True:
        infos = await transport.jetstream.consumers_info(subjects.OBSERVE_STREAM)
        left = sum((i.num_pending or 0) + (i.num_ack_pending or 0) for i in infos)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.2)
