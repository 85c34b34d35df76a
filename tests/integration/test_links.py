"""A link to the broker that goes silent while both of its ends stay open."""

from __future__ import annotations

import asyncio
import time

import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.flow.proxy import Proxy
from tests.integration.worlds import SOON, Runner

OFTEN = {"ping_interval": 0.1, "max_outstanding_pings": 2}


def test_a_half_open_connection_is_noticed_and_another_one_made(
    run: Runner, nats_broker: EmbeddedBroker
) -> None:
    async def scenario() -> None:
        proxy = Proxy(nats_broker.port)
        transport = await NatsTransport.connect(
            f"nats://127.0.0.1:{await proxy.start()}", connect_timeout=0.4, options=OFTEN
        )
        lost, back = asyncio.Event(), asyncio.Event()
        transport.on_disconnect(lost.set)
        transport.on_reconnect(back.set)

        proxy.silence()
        async with asyncio.timeout(SOON):
            await lost.wait()
        proxy.mend()
        async with asyncio.timeout(SOON):
            await back.wait()

        await transport.flush()
        await transport.close()
        await proxy.stop()

    run(scenario())


def test_whoever_stood_still_is_as_one_who_was_away(
    run: Runner, nats_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin announces itself, so that its breaker is not left open for longer than it was."""
    monkeypatch.setattr("hookbus.nats_client.STALLED", 0.2)

    async def scenario() -> None:
        transport = await NatsTransport.connect(nats_broker.url, options=OFTEN)
        pinged, back = asyncio.Event(), asyncio.Event()
        transport.on_reconnect(back.set)
        transport.on_disconnect(pytest.fail)
        asyncio.get_running_loop().call_later(0.25, pinged.set)
        await pinged.wait()
        is_called_for_nothing = back.is_set()

        time.sleep(0.5)  # as SIGSTOP does
        async with asyncio.timeout(SOON):
            await back.wait()

        await transport.flush()
        await transport.close()
        assert not is_called_for_nothing

    run(scenario())


def test_who_hears_messages_does_not_leave_for_want_of_answers_to_pings(run: Runner) -> None:
    async def scenario() -> None:
        losses: list[str] = []
        chatterer = _Chatterer()
        server = await asyncio.start_server(chatterer, "127.0.0.1", 0)
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = await NatsTransport.connect(url, options=OFTEN)
        heard = asyncio.Event()
        transport.on_disconnect(lambda: losses.append("lost"))
        transport.on_disconnect(heard.set)
        count = 0

        def on_message(message: object) -> None:
            nonlocal count
            count += 1
            if count == 100:  # a second of them: many pings, and no answer to any
                heard.set()

        await transport.subscribe("news", on_message)
        async with asyncio.timeout(SOON):
            await heard.wait()

        losses_meanwhile = list(losses)
        server.close()
        chatterer.is_silent = True
        await chatterer.ended.wait()
        await transport.close()
        assert losses_meanwhile == []

    run(scenario())


class _Chatterer:
    """A broker that answers pings until somebody subscribes to news, and then sends only those."""

    def __init__(self) -> None:
        self.is_silent = False
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.15.1","max_payload":1048576,"headers":true}\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if line.startswith(b"SUB news"):
                await self._talk(line.split()[-1], writer)
                break
        writer.transport.abort()
        self.ended.set()

    async def _talk(self, number: bytes, writer: asyncio.StreamWriter) -> None:
        while not self.is_silent:
            writer.write(b"MSG news %b 2\r\nhi\r\n" % number)
            await asyncio.sleep(0.01)
