"""What only a real nats-server can show: refusals, hangs, kills, nats-py's own habits."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.js.api import KeyValueConfig

from hookbus.broker import EmbeddedBroker, find_nats_server
from hookbus.errors import ConnectFailed, PublishDenied, TransportError
from hookbus.keyvalue import NatsKeyValue
from hookbus.nats_client import NatsClient
from hookbus.processes import spawn
from hookbus.transport import NatsTransport
from tests.integration.worlds import SOON, Recorder, Runner, free_port, tasks_since

CONFIG = """
host: "127.0.0.1"
port: {port}
authorization {{ users: [
  {{ user: chat, password: secret, permissions: {{
    publish: {{ deny: ["Only.Others.>"] }}, subscribe: {{ deny: ["private.>"] }} }} }}
] }}
"""


@pytest.fixture
def guarded_url(nats_server_program: None, tmp_path: Path) -> Iterator[str]:
    """A nats-server with one user, `chat`, who may not publish or subscribe everywhere."""
    port = free_port()
    config = tmp_path / "guarded.conf"
    config.write_text(CONFIG.format(port=port))
    child = spawn([find_nats_server(), "-c", config])
    yield f"nats://chat:secret@127.0.0.1:{port}"
    child.terminate(SOON)


def test_a_broker_that_is_not_there_is_named_with_the_next_step(run: Runner) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        url = f"nats://chat:secret@127.0.0.1:{free_port()}"
        started = time.monotonic()

        with pytest.raises(ConnectFailed) as failed:
            await NatsTransport.connect(url, connect_timeout=0.3)

        assert str(failed.value) == (
            f"no connection to {url.replace('chat:secret@', '')} within 0.3 s: "
            "connection refused; start one with 'hookbus up', or set HOOKBUS_NATS_URL"
        )
        assert 0.29 <= time.monotonic() - started < SOON
        assert await tasks_since(before) == set()

    run(scenario())


def test_a_broker_that_says_nothing_is_given_up_after_the_timeout(run: Runner) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"nats://127.0.0.1:{silent.getsockname()[1]}"

            with pytest.raises(ConnectFailed, match=r"within 0\.3 s: no answer"):
                await NatsTransport.connect(url, connect_timeout=0.3)

            assert await tasks_since(before) == set()

    run(scenario())


@pytest.mark.parametrize("url", ["", "::::", "nats://none"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConnectFailed):
        asyncio.run(NatsTransport.connect(url, connect_timeout=0.3))


def test_refused_credentials_fail_at_once(run: Runner, guarded_url: str) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        await (await NatsTransport.connect(guarded_url)).close()  # it is up
        started = time.monotonic()

        with pytest.raises(ConnectFailed, match=r"refused the credentials.*check HOOKBUS_CREDS"):
            await NatsTransport.connect(
                guarded_url.replace("secret", "wrong"), connect_timeout=SOON
            )

        assert time.monotonic() - started < SOON / 2
        assert await tasks_since(before) == set()

    run(scenario())


def test_connecting_waits_for_a_broker_that_comes_up(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        os.kill(own_broker.pid, signal.SIGKILL)
        connecting = asyncio.ensure_future(
            NatsTransport.connect(own_broker.url, connect_timeout=SOON)
        )
        await asyncio.sleep(0)

        await asyncio.to_thread(own_broker.restart)

        transport = await connecting
        assert transport.is_connected
        await transport.close()
        assert await tasks_since(before) == set()

    run(scenario())


def test_a_refused_publish_is_told_with_its_subject_as_written(
    run: Runner, guarded_url: str
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(guarded_url, principal="chat")
        denied: asyncio.Queue[str] = asyncio.Queue()
        transport.on_denied(denied.put_nowait)

        await transport.publish("Only.Others.Know", b"")

        async with asyncio.timeout(SOON):
            assert await denied.get() == "Only.Others.Know"
        with pytest.raises(PublishDenied, match=r"'Only.Others.Asked'"):
            await transport.request("Only.Others.Asked", b"", timeout=SOON)
        assert transport.is_connected
        await transport.close()

    run(scenario())


def test_a_refused_subscription_is_logged_with_its_subject(
    run: Runner, guarded_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(guarded_url)
        denied: list[str] = []
        transport.on_denied(denied.append)

        await transport.subscribe("private.Thing", lambda message: None, queue="q")
        await transport.flush()
        await transport.close()

        assert "refuse the subscription to 'private.Thing'" in caplog.text
        assert denied == []

    run(scenario())


def test_a_flush_is_confirmed_after_the_subscription_it_is_for(run: Runner) -> None:
    async def scenario() -> None:
        recorder, client = Recorder(), NatsClient()
        server = await asyncio.start_server(recorder, "127.0.0.1", 0)
        await client.connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")

        await client.subscribe("mine")
        await client.flush()
        after_flush = recorder.after("SUB mine  1")
        await client.close()
        await recorder.ended.wait()
        server.close()

        assert after_flush == ["PING"]  # nats-py's own flush writes its only PING before the SUB

    run(scenario())


def test_a_drain_is_confirmed_after_the_end_of_the_routing(run: Runner) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        server = await asyncio.start_server(recorder, "127.0.0.1", 0)
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = await NatsTransport.connect(url)

        subscription = await transport.subscribe("mine", lambda message: None)
        await subscription.drain()
        after_drain = recorder.after("UNSUB 2 ")
        await transport.close()
        await recorder.ended.wait()
        server.close()

        assert after_drain[0] == "PING"

    run(scenario())


def test_a_missing_bucket_is_refused_where_it_may_not_be_made(
    own_broker: EmbeddedBroker,
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(own_broker.url)

        with pytest.raises(TransportError, match="bucket 'things': there is no such bucket"):
            await NatsKeyValue.open(transport, "things", create=False)
        await NatsKeyValue.open(transport, "things")
        found = await NatsKeyValue.open(transport, "things", create=False)

        assert await found.get("k") is None
        info = await transport.jetstream.stream_info("KV_things")
        assert info.config.allow_direct is False
        await transport.close()

    asyncio.run(scenario())


def test_a_purged_and_an_expired_key_have_no_value(own_broker: EmbeddedBroker) -> None:
    async def scenario() -> None:
        connection = await nats.connect(own_broker.url)
        other = await connection.jetstream().create_key_value(
            KeyValueConfig(bucket="things", limit_marker_ttl=60)
        )
        transport = await NatsTransport.connect(own_broker.url)
        bucket = await NatsKeyValue.open(transport, "things")
        watched: asyncio.Queue[bytes] = asyncio.Queue()
        await other.put("purged", b"1")
        await other.purge("purged")
        gone = asyncio.Event()
        await other.create("expired", b"1", msg_ttl=1)
        watch = await bucket.watch("expired", lambda entry: watched.put_nowait(entry.value))
        seen = await other.watch("expired")
        async with asyncio.timeout(SOON):
            async for entry in seen:
                if entry is not None and entry.operation == "PURGE":
                    gone.set()
                    break

        assert gone.is_set()
        assert await bucket.get("purged") is None
        assert await bucket.get("expired") is None
        assert await bucket.keys() == []
        assert watched.get_nowait() == b"1"
        assert watched.empty()
        await watch.stop()
        await connection.close()
        await transport.close()

    asyncio.run(scenario())
