"""The same as one would write it with FastStream and nothing else: requests and pydantic models.

Nothing is checked but what pydantic checks; no deadline but NATS's timeout. It publishes one
700-byte record for each event, as the relays do.

    python -m tests.bench.naive dispatcher URL WORK PLUGIN...
    python -m tests.bench.naive plugin URL WORK PLUGIN
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from faststream.nats import NatsBroker
from pydantic import BaseModel

from hookbus.loop import run
from tests.bench.relay import RECORD
from tests.bench.scenarios import BLOCKER

EMIT: Final = "naive.emit.message_received"
WORKERS: Final = 64


class Data(BaseModel):
    text: str
    user: str
    marks: list[str]


class Event(BaseModel):
    id: str
    source: str
    type: str
    data: Data


class Verdict(BaseModel):
    plugin: str
    verdict: Literal["continue", "intercept", "block"] = "continue"
    reason: str | None = None
    data: Data | None = None  # the whole payload …
    add_mark: str | None = None  # … or what is to change in it


class Decision(BaseModel):
    id: str
    outcome: Literal["continue", "intercept", "block"]
    by: str | None = None
    reason: str | None = None
    data: Data | None = None


def plugin(broker: NatsBroker, work: str, name: str) -> None:
    @broker.subscriber(f"naive.call.{name}", queue=name, max_workers=WORKERS)
    async def on_call(event: Event) -> Verdict:
        if work == "block" and name == BLOCKER:
            return Verdict(plugin=name, verdict="block", reason="no")
        if work == "patch":
            return Verdict(plugin=name, verdict="intercept", add_mark=name)
        if work == "mutate":
            data = event.data.model_copy(update={"marks": [*event.data.marks, name]})
            return Verdict(plugin=name, verdict="intercept", data=data)
        return Verdict(plugin=name)


def dispatcher(broker: NatsBroker, work: str, plugins: list[str]) -> None:
    async def ask(name: str, event: Event) -> Verdict:
        reply = await broker.request(event, f"naive.call.{name}", timeout=5)
        return Verdict.model_validate(await reply.decode())

    async def validate(event: Event) -> Decision:
        verdicts = await asyncio.gather(*(ask(name, event) for name in plugins))
        for verdict in verdicts:
            if verdict.verdict == "block":
                reason = f"{verdict.plugin}: {verdict.reason}"
                return Decision(id=event.id, outcome="block", by=verdict.plugin, reason=reason)
        return Decision(id=event.id, outcome="continue")

    async def mutate(event: Event) -> Decision:
        for name in plugins:
            verdict = await ask(name, event)
            if verdict.data is not None:
                event.data = verdict.data
            elif verdict.add_mark is not None:
                event.data.marks.append(verdict.add_mark)
        return Decision(id=event.id, outcome="intercept", data=event.data)

    decide = mutate if work in ("mutate", "patch") else validate

    @broker.subscriber(EMIT, queue="dispatcher", max_workers=WORKERS)
    async def on_event(event: Event) -> Decision:
        decision = await decide(event)
        await broker.publish(RECORD, "naive.decision.message_received")
        return decision


@asynccontextmanager
async def serving(part: str, url: str, work: str, plugins: list[str]) -> AsyncIterator[None]:
    broker = NatsBroker(url, logger=None)  # which would write two lines for each message
    if part == "dispatcher":
        dispatcher(broker, work, plugins)
    else:
        plugin(broker, work, plugins[0])
    async with broker:
        await broker.start()
        await broker.ping(timeout=5)  # the server has the subscription
        yield


async def main(part: str, url: str, work: str, plugins: list[str]) -> None:
    async with serving(part, url, work, plugins):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
