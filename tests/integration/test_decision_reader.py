"""Reading the stream of decisions from a real nats-server, with a viewer's rights and no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hookbus import subjects
from hookbus.broker import EmbeddedBroker, find_nats_server
from hookbus.decision_log import reader as reader_module
from hookbus.decision_log.reader import NatsStreamReader, Stored
from hookbus.decision_log.records import Reference, Wanted, short_id
from hookbus.decision_log.search import SEEK, find, newest
from hookbus.errors import NoResponders, PublishDenied, TransportError
from hookbus.processes import spawn
from hookbus.streams import NatsStreams, StreamSpec
from hookbus.transport import NatsTransport
from tests.bench.explain import SPEC, fill
from tests.integration.test_nats_transport import SOON, free_port

STREAM = subjects.DECISIONS_STREAM
COUNT = 20_000

VIEWER = """
host: "127.0.0.1"
port: {port}
jetstream {{ store_dir: {folder} }}
authorization {{ users: [
    {{ user: "all", password: "x" }}
    {{ user: "viewer", password: "x", permissions: {{
        publish: [
            "$JS.API.STREAM.INFO.HOOKBUS_DECISIONS",
            "$JS.API.CONSUMER.CREATE.HOOKBUS_DECISIONS.>",
            "$SRV.>", "hookbus.ctl.viewer.>"
        ]
        subscribe: ["_INBOX.viewer.>", "hookbus.decision.>"]
    }} }}
    {{ user: "nobody", password: "x", permissions: {{
        publish: ["hookbus.ctl.nobody.>"], subscribe: ["_INBOX.nobody.>"]
    }} }}
] }}
"""

pytestmark = pytest.mark.usefixtures("nats_server_program")


@asynccontextmanager
async def connected(url: str, principal: str = "viewer") -> AsyncIterator[NatsTransport]:
    transport = await NatsTransport.connect(url, principal=principal, connect_timeout=SOON)
    try:
        yield transport
    finally:
        await transport.close()


def on_stream(
    url: str, scenario: Callable[[NatsStreamReader, NatsTransport], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with asyncio.timeout(2 * SOON), connected(url) as transport:
            await scenario(NatsStreamReader(transport, STREAM), transport)

    asyncio.run(run())


async def written(transport: NatsTransport, *bodies: str, spec: StreamSpec = SPEC) -> None:
    await NatsStreams(transport).ensure_stream(spec)
    for body in bodies:
        await transport.request(f"hookbus.decision.block.{body}", body.encode(), timeout=SOON)


async def read(reader: NatsStreamReader, start: int = 1, **options: object) -> list[str]:
    found: list[str] = []

    def take(stored: Stored) -> bool:
        found.append(stored.data.decode())
        return False

    await reader.read(start, take, **options)  # type: ignore[arg-type]
    return found


def test_everything_is_read_in_order_in_windows_of_any_size(
    own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "FIRST_WINDOW", 1)
    monkeypatch.setattr(reader_module, "WINDOW", 3)
    letters = "abcdefghijklm"

    async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
        await written(transport, *letters)
        reader = NatsStreamReader(transport, STREAM)

        assert await read(reader) == [*letters]
        assert await read(reader, 5) == [*letters[4:]]
        assert await read(reader, 5, until=7) == ["e", "f", "g"]
        assert await read(reader, only=["hookbus.decision.*.c", "hookbus.decision.block.k"]) == [
            "c",
            "k",
        ]
        assert await read(reader, 99) == []

    on_stream(own_broker.url, scenario)


def test_what_was_deleted_or_purged_is_stepped_over(own_broker: EmbeddedBroker) -> None:
    async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
        await written(transport, "a", "b", "c", "d", "e")
        jetstream = transport.jetstream
        await jetstream.delete_msg(STREAM, 3)
        assert await read(reader) == ["a", "b", "d", "e"]

        await jetstream.purge_stream(STREAM, seq=5)
        assert await read(reader) == ["e"]
        assert (await reader.extent()).first == 5

        await jetstream.purge_stream(STREAM)
        assert await read(reader) == []
        assert (await reader.extent()).described == "the stream holds no record"
        assert await newest(reader, Wanted(), 10) == ([], False, 6)
        assert not (await find(reader, Reference("any"), lambda *_: None)).matches

    on_stream(own_broker.url, scenario)


def test_what_taking_a_record_raises_comes_out_of_reading(own_broker: EmbeddedBroker) -> None:
    def fail(stored: Stored) -> bool:
        raise BrokenPipeError

    async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
        await written(transport, "a")
        with pytest.raises(BrokenPipeError):
            await reader.read(1, fail)

    on_stream(own_broker.url, scenario)


def test_a_missing_stream_says_who_makes_it(own_broker: EmbeddedBroker) -> None:
    async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
        with pytest.raises(TransportError, match=r"no stream 'HOOKBUS_DECISIONS'.*registry"):
            await reader.extent()
        with pytest.raises(TransportError, match="there is no stream 'HOOKBUS_DECISIONS'"):
            await read(reader)

    on_stream(own_broker.url, scenario)


def test_a_broker_without_jetstream_is_told_apart(
    tmp_path: Path, nats_server_program: None
) -> None:
    port = free_port()
    child = spawn([find_nats_server(), "-a", "127.0.0.1", "-p", str(port)])
    try:

        async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
            with pytest.raises(NoResponders, match="is JetStream on"):
                await reader.extent()

        on_stream(f"nats://127.0.0.1:{port}", scenario)
    finally:
        child.terminate(SOON)


@pytest.fixture
def guarded_port(nats_server_program: None, tmp_path: Path) -> Iterator[int]:
    """A nats-server on which a viewer may do what protocol.md says, and no more."""
    port = free_port()
    config = tmp_path / "viewer.conf"
    config.write_text(VIEWER.format(port=port, folder=json.dumps(str(tmp_path / "store"))))
    child = spawn([find_nats_server(), "-c", config])
    yield port
    child.terminate(SOON)


def test_a_viewers_rights_suffice_to_read_all_of_it(
    guarded_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "FIRST_WINDOW", 2)

    async def scenario() -> None:
        where = f"127.0.0.1:{guarded_port}"
        async with connected(f"nats://all:x@{where}", "registry") as registry:
            await written(registry, "a", "b", "c", "d", "e")
        async with connected(f"nats://viewer:x@{where}", "viewer") as viewer:
            assert await read(NatsStreamReader(viewer, STREAM)) == [*"abcde"]

    asyncio.run(scenario())


def test_a_denial_is_said_at_once_and_names_the_subject(guarded_port: int) -> None:
    async def scenario() -> None:
        where = f"127.0.0.1:{guarded_port}"
        async with connected(f"nats://nobody:x@{where}", "nobody") as nobody:
            with pytest.raises(PublishDenied, match=r"STREAM\.INFO\.HOOKBUS_DECISIONS"):
                await NatsStreamReader(nobody, STREAM).extent()

    asyncio.run(scenario())


def test_a_decision_is_found_by_the_time_in_its_id_among_many(own_broker: EmbeddedBroker) -> None:
    """The small form of `python -m tests.bench.explain`."""
    kept = asyncio.run(fill(own_broker.url, COUNT))

    async def scenario(reader: NatsStreamReader, transport: NatsTransport) -> None:
        for decision in kept[::5]:
            for text in (decision.id, decision.id.upper(), short_id(decision.id)):
                found = await find(reader, Reference(text), lambda *_: None)
                [(kind, recorded)] = found.matches
                assert (kind, recorded.decision.id) == ("decision", decision.id)
                assert found.looked_at < COUNT / 2  # it was sought, not searched for
        middle = kept[len(kept) // 2]
        for text, expected in ((middle.event.id, "event"), (middle.trace_id or "", "trace")):
            found = await find(reader, Reference(text), lambda *_: None)
            [(kind, recorded)] = found.matches
            assert (kind, recorded.decision.id) == (expected, middle.id)
            assert found.looked_at == COUNT

    assert SEEK[0][0] < 1
    on_stream(own_broker.url, scenario)
