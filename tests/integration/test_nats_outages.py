"""What a real nats-server does to a connection: errors, kills, hangs, absence."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import time

import pytest
from nats.aio.client import Client

from hookbus.broker import EmbeddedBroker
from hookbus.errors import Disconnected
from hookbus.transport import Message, NatsTransport
from tests.integration.worlds import SOON, Recorder, Runner, tasks_since


async def publish_until_lost(transport: NatsTransport) -> int:
    """Publish half MiB after half MiB, each beginning with its number; return the last number."""
    for number in itertools.count():
        try:
            await transport.publish("a", b"%d" % number + bytes(512 * 1024))
        except Disconnected:
            return number - 1
    raise AssertionError("unreachable")


def test_a_connection_that_the_broker_ends_with_an_error_comes_back(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        recorder = Recorder(first_error="User Authentication Expired")
        server = await asyncio.start_server(recorder, "127.0.0.1", 0)
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        back = asyncio.Event()

        transport = await NatsTransport.connect(url)
        transport.on_reconnect(back.set)
        async with asyncio.timeout(SOON):
            await back.wait()  # nats-py alone would have closed for good

        assert transport.is_connected
        assert "User Authentication Expired" in caplog.text
        await transport.close()
        server.close()
        await recorder.ended.wait()

    run(scenario())


def test_a_killed_broker_is_noticed_within_milliseconds(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        transport = await NatsTransport.connect(own_broker.url)
        await transport.subscribe("slow", lambda message: None)
        lost = asyncio.get_running_loop().create_future()
        transport.on_disconnect(lambda: lost.set_result(time.monotonic()))
        asked = asyncio.ensure_future(transport.request("slow", b"", timeout=SOON))
        await transport.flush()

        killed = time.monotonic()
        os.kill(own_broker.pid, signal.SIGKILL)

        with pytest.raises(Disconnected):
            await asked
        assert await lost - killed < 0.5  # 3 ms on a quiet machine
        await transport.close()
        assert await tasks_since(before) == set()

    run(scenario())


def test_a_broker_that_hangs_is_noticed_though_much_waits_to_be_sent(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(
            own_broker.url, options={"ping_interval": 0.3, "pending_size": 1024 * 1024}
        )
        lost, back = asyncio.Event(), asyncio.Event()
        transport.on_disconnect(lost.set)
        transport.on_reconnect(back.set)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            last = await publish_until_lost(transport)
            async with asyncio.timeout(SOON):
                await lost.wait()
            received: list[bytes] = []
            await transport.subscribe("a", lambda message: received.append(message.data))
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)

        async with asyncio.timeout(SOON):
            await back.wait()
        await transport.flush()
        # what the kernel had taken may come, what waited behind it may not
        assert [data for data in received if data.startswith(b"%d\0" % last)] == []
        await transport.close()

    run(scenario())


def test_a_slow_broker_is_told_to_who_posts_and_gets_all_in_its_order(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(
            own_broker.url, options={"ping_interval": SOON, "pending_size": 1024 * 1024}
        )
        received: list[int] = []
        all_came = asyncio.Event()

        def take(message: Message) -> None:
            received.append(int(message.data.rstrip(b"\0")))
            if not message.reply:
                all_came.set()

        await transport.subscribe("a", take)
        await transport.flush()
        posted = 0
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(SOON):
                while transport.post("a", b"%d" % posted + bytes(64 * 1024), reply="more"):
                    posted += 1
                    await asyncio.sleep(0)
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
        await transport.ready()
        assert transport.post("a", b"%d" % (posted + 1))
        async with asyncio.timeout(SOON):
            await all_came.wait()

        assert received == list(range(posted + 2))
        await transport.close()

    run(scenario())


def test_closing_a_hanging_connection_takes_a_bounded_time(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(own_broker.url)
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            for _ in range(20):
                await transport.publish("a", bytes(512 * 1024))
            started = time.monotonic()

            await transport.close()

            assert time.monotonic() - started < SOON
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)

    run(scenario())


def test_closing_while_the_broker_is_away_leaves_no_task_behind(
    run: Runner, own_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        transport = await NatsTransport.connect(own_broker.url)
        lost = asyncio.Event()
        transport.on_disconnect(lost.set)
        os.kill(own_broker.pid, signal.SIGKILL)
        await lost.wait()
        await transport.subscribe("a", lambda message: None)

        await transport.close()

        assert await tasks_since(before) == set()

    run(scenario())


def test_one_loss_is_a_line_in_the_log_and_not_a_traceback(
    run: Runner, own_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        transport = await NatsTransport.connect(own_broker.url)
        back = asyncio.Event()
        transport.on_reconnect(back.set)
        os.kill(own_broker.pid, signal.SIGKILL)
        await asyncio.to_thread(own_broker.restart)
        async with asyncio.timeout(SOON):
            await back.wait()
        await transport.close()

    with caplog.at_level(logging.INFO):
        run(scenario())

    shown = own_broker.url
    assert [record.message for record in caplog.records if record.name != "asyncio"] == [
        f"connection to {shown} lost, trying again",
        f"connection to {shown} is back",
    ]
    assert all(record.exc_info is None for record in caplog.records)


def test_a_connection_closed_as_an_attempt_to_come_back_fails_tries_no_more(
    run: Runner, own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's wait_for tells of the failed attempt instead of the cancellation, then."""

    async def scenario() -> None:
        before = asyncio.all_tasks()
        transport = await NatsTransport.connect(own_broker.url)
        trying = asyncio.Event()

        async def refuse(client: Client, server: object) -> None:
            trying.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(SOON)
            raise ConnectionRefusedError

        monkeypatch.setattr(Client, "_connect_to_server", refuse)
        own_broker.stop()
        async with asyncio.timeout(SOON):
            await trying.wait()
            await transport.close()
        left = await tasks_since(before)
        for task in left:
            task.cancel()
        assert not left

    run(scenario())
