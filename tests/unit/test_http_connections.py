"""How long a connection to a role's HTTP port lives, and how often /metrics is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from hookbus.server.connections import LONGEST, MAX_CONNECTIONS, ShortConnection
from hookbus.server.health import FRESH, Written
from hookbus.testing.virtual_time import run_virtual

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Client(asyncio.Transport):
    """The other end, as the server sees it."""

    def __init__(self, connection: ShortConnection) -> None:
        super().__init__()
        self._connection = connection
        self.ended_at = 0.0
        connection.connection_made(self)

    def abort(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended_at = loop.time()
        loop.call_soon(self._connection.connection_lost, None)  # later, as of a socket

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return self.ended_at > 0


class Port:
    def __init__(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None: ...

        self._config = uvicorn.Config(app, lifespan="off", log_config=None)
        self.state = ServerState()

    def connect(self) -> tuple[Client, ShortConnection]:
        connection = ShortConnection(self._config, self.state, {})
        return Client(connection), connection


def test_half_a_request_ends_in_time_though_more_of_it_keeps_coming() -> None:
    async def scenario() -> float:
        client, connection = Port().connect()
        connection.data_received(HALF)
        while not client.ended_at and asyncio.get_running_loop().time() < 2 * LONGEST:
            connection.data_received(b"X-More: 1\r\n")
            await asyncio.sleep(1.0)
        return client.ended_at

    assert run_virtual(scenario()) == LONGEST


def test_beyond_the_most_connections_the_oldest_go_and_the_newest_is_there() -> None:
    async def scenario() -> tuple[list[bool], int]:
        port = Port()
        await asyncio.sleep(1.0)
        clients = [port.connect()[0] for _ in range(MAX_CONNECTIONS + 3)]  # in one turn of the loop
        await asyncio.sleep(0)
        return [client.is_closing() for client in clients], len(port.state.connections)

    closed, left = run_virtual(scenario())
    assert closed == [True] * 3 + [False] * MAX_CONNECTIONS
    assert left == MAX_CONNECTIONS


def test_what_has_ended_leaves_no_timer_behind() -> None:
    async def scenario() -> float:
        _, connection = Port().connect()
        connection.connection_lost(None)
        await asyncio.sleep(2 * LONGEST)
        return cast("Client", connection.transport).ended_at

    assert run_virtual(scenario()) == 0.0


def test_metrics_are_written_at_most_twice_a_second() -> None:
    texts: Iterator[bytes] = iter([b"first", b"second"])
    times = iter([100.0, 100.1, 100.0 + FRESH, 100.1 + FRESH])
    written = Written(lambda: next(texts), lambda: next(times))

    assert [written.now() for _ in range(4)] == [b"first", b"first", b"second", b"second"]
