"""The plugins that are asked: one on nats-py alone, one on the SDK. Both do the least there is.

python -m tests.bench.plugins raw|sdk URL WORK NAME
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats
from nats.aio.msg import Msg

from hookbus import Block, HookEvent, Intercept, Plugin, Verdict
from hookbus.loop import run
from hookbus.plugin import PluginServer
from hookbus.transport import NatsTransport
from tests.bench.scenarios import BLOCKER


class _Call(msgspec.Struct):
    call: str
    event: dict[str, Any]


_decode = msgspec.json.Decoder(_Call).decode


def marked(data: dict[str, Any], name: str) -> dict[str, Any]:
    """The data with one more mark, so that a mutation that got lost is seen."""
    return {**data, "marks": [*data.get("marks", ()), name]}


PATCH = b'"intercept","patch":[{"op":"add","path":"/marks/-","value":"%b"}]}'


@asynccontextmanager
async def raw(url: str, work: str, name: str) -> AsyncIterator[None]:
    client = await nats.connect(url)
    tail = b'","attempt":1,"plugin":"%b","version":"1.0.0","verdict":' % name.encode()

    async def on_call(message: Msg) -> None:
        call = _decode(message.data)
        if work == "block" and name == BLOCKER:
            verdict = b'"block","reason":"no","code":"no"}'
        elif work in ("validate", "block"):
            verdict = b'"continue"}'
        elif work == "patch":
            verdict = PATCH % name.encode()
        else:
            data = msgspec.json.encode(marked(call.event["data"], name))
            verdict = b'"intercept","data":%b}' % data
        await client.publish(
            message.reply, b'{"v":1,"call":"%b%b%b' % (call.call.encode(), tail, verdict)
        )

    await client.subscribe(f"hookbus.call.{name}.bench", queue=name, cb=on_call)
    await client.flush()
    await client.flush()
    try:
        yield
    finally:
        await client.close()


@asynccontextmanager
async def sdk(url: str, work: str, name: str) -> AsyncIterator[None]:
    plugin = Plugin(name, version="1.0.0")
    priority = int(name.removeprefix("p"))
    settings = {"priority": priority, "timeout_ms": 5000}

    if work in ("validate", "block"):

        @plugin.hook("message_received", phase="validate", name="bench", **settings)
        async def check(event: HookEvent[Any]) -> Verdict | None:
            return Block("no", code="no") if work == "block" and name == BLOCKER else None

    if work in ("mutate", "patch"):

        @plugin.hook("message_received", phase="mutate", name="bench", **settings)
        async def mark(event: HookEvent[Any]) -> Verdict | None:
            if work == "patch":
                return Intercept(patch=[{"op": "add", "path": "/marks/-", "value": name}])
            return Intercept(data=marked(event.data, name))

    if work == "both":

        @plugin.hook("message_received", phase="validate", name="look", **settings)
        async def look(event: HookEvent[Any]) -> Verdict | None:
            return None

        @plugin.hook("message_received", phase="mutate", name="change", **settings)
        async def change(event: HookEvent[Any]) -> Verdict | None:
            if event.data["user"] != "patcher":
                return None
            return Intercept(patch=[{"op": "add", "path": f"/marks/{name}", "value": 1}])

    transport = await NatsTransport.connect(url, principal=name)
    server = PluginServer(plugin, transport)
    await server.start()
    try:
        yield
    finally:
        await server.stop()
        await transport.close()


async def main(kind: str, url: str, work: str, name: str) -> None:
    async with {"raw": raw, "sdk": sdk}[kind](url, work, name):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
