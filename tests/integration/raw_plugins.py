"""Plugins on bare nats-py, each of which makes one mistake: `raw_plugins.py NAME REPLICAS …`.

A process of its own, as a stranger's plugin is. It prints a line once all are bound.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import nats
import nats.micro
from nats.aio.client import Client
from nats.aio.msg import Msg

#: name → what is said instead of an honest verdict; None leaves a member out.
MEMBERS: dict[str, dict[str, Any]] = {
    "wrong-call": {"call": "AAAAAAAAAAAAAAAAAAAAAA"},
    "no-attempt": {"attempt": None},
    "wrong-name": {"plugin": "another"},
    "intercepts": {"verdict": "intercept", "merge": {"text": "changed"}},
}
LATE = 0.4  # seconds


def verdict(name: str, call: dict[str, Any]) -> bytes:
    honest = {
        "v": 1,
        "call": call["call"],
        "attempt": call["attempt"],
        "plugin": name,
        "verdict": "continue",
    }
    members = {**honest, **MEMBERS.get(name, {})}
    return json.dumps({k: v for k, v in members.items() if v is not None}).encode()


async def replica(name: str) -> None:
    bus: Client = await nats.connect(os.environ["HOOKBUS_NATS_URL"], allow_reconnect=False)
    running: set[asyncio.Task[None]] = set()

    async def answer(message: Msg) -> None:
        try:
            call = json.loads(message.data)
        except (ValueError, RecursionError):
            if name == "dies":
                await bus.close()
            return
        if name == "answers-late":
            await asyncio.sleep(LATE)
        for _ in range(2 if name == "twice" else 1):
            await message.respond(verdict(name, call))

    async def on_call(message: Msg) -> None:
        if message.reply.startswith("hookbus.reply."):
            task = asyncio.create_task(answer(message))
            running.add(task)
            task.add_done_callback(running.discard)

    queue = "" if name == "no-queue" else name
    await bus.subscribe(f"hookbus.call.{name}.hook", queue=queue, cb=on_call)
    service = await nats.micro.add_service(bus, name=name, version="1.0.0")
    await bus.flush()
    await bus.flush()
    hook = {"name": "hook", "type": "message_received", "phase": "validate"}
    announcement = {"v": 1, "plugin": name, "version": "1.0.0", "instance": service.id}
    body = json.dumps({**announcement, "hooks": [hook]}).encode()
    answered = json.loads((await bus.request(f"hookbus.announce.{name}", body, timeout=10)).data)
    assert answered["state"] == "bound", answered


async def main(names: list[str]) -> None:
    for name in names:
        await replica(name)
    print("bound", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
