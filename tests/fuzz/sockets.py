"""Bytes on a socket of a real nats-server, which routes what no client would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from hookbus.broker import EmbeddedBroker
from hookbus.loop import run as run_loop
from tests.flow.bus import Bus
from tests.flow.engines import NatsEngine
from tests.fuzz import hostile
from tests.fuzz.inputs import Input, parts
from tests.fuzz.running import Found
from tests.fuzz.watching import Finding, Watch

NAME = "sockets"
PATIENCE = 3.0  # seconds until the bus counts as deaf
CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
MESSAGE = re.compile(rb"H?MSG (\S+) (\d+) (?:(\S+) )?(?:\d+ )?(\d+)\r\n")
EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"thing","hbtimeoutms":1000,"data":{}}'
REPLY = b'{"v":1,"call":"@CALL@","attempt":1,"plugin":"raw","verdict":"continue"}'
SUBJECTS = (
    *(b"hookbus.emit.\xff.thing", b"hookbus.emit.a.thing\x01", b"hookbus.emit.\xc3\xa9.thing"),
    *(
        b"hookbus.notify.a\x00.thing",
        b"hookbus.emit.*.thing",
        b"hookbus.emit.a.>",
        b"hookbus.emit.",
    ),
)
REPLIES = (b"_INBOX.raw.\xff", b"_INBOX.\x00", b"_INBOX.*", b"_INBOX.>", b"hookbus.ctl.a.list", b"")
BLOCKS = (
    *(
        b"",
        b"X",
        b"NATS/1.0",
        b"NATS/1.0\r\n",
        b"\r\n\r\n",
        b"NATS/1.0\r\n\r\n",
        b"NATS/9.9\r\n\r\n",
    ),
    *(b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"NATS/1.0 503 \xff\r\n\r\n", b"NATS/1.0 503\r\n\r\n"),
    *(b"NATS/1.0  \r\n\r\n", b"NATS/1.0 ", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", b"\0" * 20),
    *(b"NATS/1.0\r\nStatus: 503\r\n\r\n", b"NATS/1.0\r\nstatus: 503\r\n\r\n"),
    *(b"NATS/1.0 503\xc2\xb2\r\n\r\n", "NATS/1.0 ٥٠٣\r\n\r\n".encode()),
)
LINES = (
    *(
        b"a: b",
        b"a:b",
        b"a",
        b":",
        b": x",
        b"a\0b: c\0d",
        b"a: x\ry",
        b"a: x\ny: z",
        b" a: b",
        b"a b: c",
    ),
    *(
        b"traceparent: \xff\xfe",
        b"\xff: x",
        b"Hookbus-Timeout-Ms: \xd9\xa1\xd9\xa0\xd9\xa0",
        b"Status: 503",
    ),
    *(
        b"ce-specversion: 1.0",
        b"ce-id: %ff",
        b"ce-data: x",
        b"CE-TYPE: a",
        b"content-type: \xff",
        b"x: " + b"y" * 9_000,
    ),
    *(
        b"Nats-Service-Error: \xed\xa0\x80",
        b"Nats-Service-Error-Code: \0",
        b"a: 1\r\na: 2",
        b"Status: \xff",
    ),
)


def make(random: Random) -> dict[str, Any]:
    """One emit or one reply with something wrong in its frame."""
    block = random.choice(BLOCKS)
    if random.random() < 0.6:
        lines = random.sample(LINES, random.choice((1, 1, 2, 4)))
        block = b"NATS/1.0\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    if random.random() < 0.2:
        block = hostile.damaged(random, block)
    fields: dict[str, Any] = {"block": parts(block)}
    if random.random() < 0.1:
        return {**fields, "kind": "reply"}
    if random.random() < 0.2:
        fields["subject"] = parts(random.choice(SUBJECTS))
    if random.random() < 0.2:
        fields["reply"] = parts(random.choice(REPLIES))
    return {**fields, "kind": "emit"}


def inputs(seed: int, start: int = 0) -> Iterator[Input]:
    """Random inputs without end, as those of the other targets."""
    for number in count(start):
        yield Input(NAME, make(Random(f"{seed}/{NAME}/{number}")), f"{NAME}-seed{seed}-{number}")


def run(chosen: Sequence[Input]) -> list[Found]:
    """Feed all of *chosen* to a bus on a broker of its own; return what was found."""
    found: list[Found] = []
    left = list(chosen)
    while left:
        with (
            tempfile.TemporaryDirectory() as folder,
            EmbeddedBroker.start(data_dir=Path(folder)) as broker,
        ):
            fed, problem = _once(broker, left)
        if problem is not None:
            found.append(Found(left[fed], problem))
        left = left[fed + 1 :] if problem is not None else []
    return found


def _once(broker: EmbeddedBroker, chosen: Sequence[Input]) -> tuple[int, str | None]:
    result: list[tuple[int, str | None]] = []

    async def scenario() -> None:
        result.append(await _in_one_world(broker, chosen))

    run_loop(scenario())
    return result[0]


async def _in_one_world(broker: EmbeddedBroker, chosen: Sequence[Input]) -> tuple[int, str | None]:
    watch = Watch(asyncio.get_running_loop())
    with watch.listening():
        async with Bus(NatsEngine(broker)) as bus:
            await bus.start(types={"thing": {}}, idempotency="off", breaker={"failures": 10**6})
            async with _Raw(broker.port) as raw:
                await _bind(bus)
                for number, each in enumerate(chosen):
                    try:
                        await _feed(bus, raw, watch, each)
                    except Finding as problem:
                        return number, str(problem)
    return len(chosen), None


async def _bind(bus: Bus) -> None:
    hook = {"name": "hook", "type": "thing", "phase": "validate", "timeout_ms": 100}
    document = {"v": 1, "plugin": "raw", "version": "1.0.0", "instance": "1", "hooks": [hook]}
    body = json.dumps(document).encode()
    await bus.transport.request("hookbus.announce.raw", body, timeout=PATIENCE)
    await bus.until_bound("raw")


async def _feed(bus: Bus, raw: _Raw, watch: Watch, each: Input) -> None:
    with watch.one_input():
        block, is_reply = each.data("block"), each.fields["kind"] == "reply"
        raw.reply_block = block if is_reply else None
        if not is_reply:
            subject = each.data("subject") if each.get("subject") else b"hookbus.emit.raw.thing"
            reply = each.data("reply") if each.get("reply") else b"_INBOX.raw.1"
            raw.publish(subject, reply, block, EVENT)
        try:
            async with asyncio.timeout(PATIENCE):
                decision = await bus.emit({}, type="thing", timeout=PATIENCE - 0.5)
        except Exception as e:
            raise Finding(f"deaf: an honest emit ended with {type(e).__name__}: {e}") from e
        if decision.outcome == "intercept" or (not is_reply and decision.outcome != "continue"):
            raise Finding(f"decided {decision.outcome}: {decision.reason}")


class _Raw:
    """A connection that speaks NATS by hand, and answers the calls of the plugin raw."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reply_block: bytes | None = None

    async def __aenter__(self) -> _Raw:
        await self._open()
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(CONNECT + b"SUB hookbus.call.raw.hook raw 1\r\nPING\r\n")

    def publish(self, subject: bytes, reply: bytes, block: bytes, body: bytes) -> None:
        sizes = b"%d %d" % (len(block), len(block) + len(body))
        self._writer.write(b"HPUB %b %b %b\r\n%b%b\r\n" % (subject, reply, sizes, block, body))

    async def _read(self) -> None:
        buffer = b""
        while True:
            with contextlib.suppress(OSError):
                data = await self._reader.read(65_536)
                if data:
                    buffer = self._answered(buffer + data)
                    continue
            await self._open()  # the broker threw us out for what we said
            buffer = b""

    def _answered(self, buffer: bytes) -> bytes:
        """Answer every call in the buffer; return what is not complete yet."""
        if b"PING\r\n" in buffer:
            self._writer.write(b"PONG\r\n")
        while match := MESSAGE.search(buffer):
            end = match.end() + int(match[4])
            if len(buffer) < end + 2:
                return buffer
            self._answer(match[3], buffer[match.end() : end])
            buffer = buffer[end + 2 :]
        return buffer if buffer.rfind(b"MSG ") >= 0 else b""

    def _answer(self, reply: bytes, call: bytes) -> None:
        call_id = msgspec.json.decode(call, type=dict[str, Any])["call"]
        body = REPLY.replace(b"@CALL@", call_id.encode())
        if self.reply_block is None:
            self._writer.write(b"PUB %b %d\r\n%b\r\n" % (reply, len(body), body))
        else:
            self.publish(reply, b"", self.reply_block, body)
