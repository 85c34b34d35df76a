"""The yardstick: nats-py in the dispatcher's place, checking nothing.

It receives an event, publishes a call to each plugin in one tick with one shared reply inbox,
collects, publishes one 700-byte record and replies. ``mutate`` and ``patch`` ask one after another,
each with the data of the one before. Of a patch it knows no more than that it adds a mark.

    python -m tests.bench.relay URL WORK PLUGIN...
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats
from nats.aio.msg import Msg

from hookbus.loop import run

RECORD = b'{"v":1,"record":"' + b"x" * 681 + b'"}'
BOUND = b'{"v":1,"state":"bound","generation":1,"config":{},"problems":[]}'
DECISION = (
    b'{"v":1,"id":"0","event":{"id":"%b","source":"","type":""},"principal":"bench","dry_run":false,'
    b'"outcome":"%b"%b,"records":[],"generation":1,"degraded":false}'
)


class _Operation(msgspec.Struct):
    value: str


class _Verdict(msgspec.Struct):
    plugin: str
    data: msgspec.Raw = msgspec.Raw()
    patch: tuple[_Operation, ...] = ()


class _Event(msgspec.Struct):
    data: msgspec.Raw


def id_of(event: bytes) -> bytes:
    """The id of an event, which the SDK's emitter looks for in the answer."""
    return event.partition(b'"id":"')[2].partition(b'"')[0]


_decode_verdict = msgspec.json.Decoder(_Verdict).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def changed(data: bytes, verdict: _Verdict) -> bytes:
    """The data that the next one is asked with."""
    if not verdict.patch:
        return bytes(verdict.data)
    document = msgspec.json.decode(data)
    document["marks"].extend(operation.value for operation in verdict.patch)
    return msgspec.json.encode(document)


class Relay:
    def __init__(self, client: nats.NATS, plugins: list[str]) -> None:
        self._client = client
        self._plugins = plugins
        self._waiting: dict[str, tuple[asyncio.Future[list[bytes]], list[bytes], int]] = {}
        self._ids = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_reply(self, message: Msg) -> None:
        call = message.subject.split(".")[3]
        done, replies, wanted = self._waiting[call]
        replies.append(message.data)
        if len(replies) == wanted:
            del self._waiting[call]
            done.set_result(replies)

    async def ask(self, plugins: list[str], event: bytes, phase: bytes) -> list[bytes]:
        call = str(next(self._ids))
        done = asyncio.get_running_loop().create_future()
        self._waiting[call] = (done, [], len(plugins))
        for plugin in plugins:
            body = (
                b'{"v":1,"call":"%b","attempt":1,"round":1,"plugin":"%b","hook":"bench",'
                b'"phase":"%b","timeout_ms":1000,"generation":1,"event":%b}'
                % (call.encode(), plugin.encode(), phase, event)
            )
            await self._client.publish(
                f"hookbus.call.{plugin}.bench", body, reply=f"hookbus.reply.relay.{call}.{plugin}"
            )
        return await done

    def on_event(self, validate: bool) -> object:
        decide = self.validate if validate else self.mutate

        async def on_message(message: Msg) -> None:
            task = asyncio.get_running_loop().create_task(decide(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return on_message

    async def validate(self, message: Msg) -> None:
        replies = await self.ask(self._plugins, message.data, b"validate")
        outcome, more = b"continue", b""
        for reply in replies:
            if b'"verdict":"block"' in reply:
                outcome, more = b"block", b',"by":"%b"' % _decode_verdict(reply).plugin.encode()
        await self.answer(message.reply, DECISION % (id_of(message.data), outcome, more))

    async def mutate(self, message: Msg) -> None:
        data = bytes(_decode_event(message.data).data)
        head = message.data[: -len(data) - 1]  # the load puts "data" last
        for plugin in self._plugins:
            [reply] = await self.ask([plugin], b"%b%b}" % (head, data), b"mutate")
            data = changed(data, _decode_verdict(reply))
        change = b',"data":%b' % data
        await self.answer(message.reply, DECISION % (id_of(message.data), b"intercept", change))

    async def answer(self, reply: str, decision: bytes) -> None:
        await self._client.publish("hookbus.decision.relay.bench", RECORD)
        await self._client.publish(reply, decision)


async def on_announcement(message: Msg) -> None:
    """Be the registry, too: a plugin on the SDK would announce itself again and again."""
    await message.respond(BOUND)


@asynccontextmanager
async def serving(url: str, work: str, plugins: list[str]) -> AsyncIterator[None]:
    client = await nats.connect(url)
    relay = Relay(client, plugins)
    await client.subscribe("hookbus.announce.*", cb=on_announcement)
    await client.subscribe("hookbus.reply.relay.*.*", cb=relay.on_reply)
    await client.subscribe(
        "hookbus.emit.>",
        queue="dispatcher",
        cb=relay.on_event(validate=work in ("validate", "block")),
    )
    await client.flush()
    await client.flush()
    try:
        yield
    finally:
        await client.close()


async def main(url: str, work: str, plugins: list[str]) -> None:
    async with serving(url, work, plugins):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
