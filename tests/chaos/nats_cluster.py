"""Three nats-servers on this machine, as one cluster."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import nats.errors
import nats.js.errors

from hookbus import subjects
from hookbus.broker import find_nats_server
from hookbus.errors import TransportError
from hookbus.processes import Child, spawn
from hookbus.transport import NatsTransport
from tests.chaos.cluster import until
from tests.integration.worlds import free_port

SERVERS: Final = 3
CONFIG: Final = """
server_name: "n{number}"
listen: "127.0.0.1:{port}"
ping_interval: "2s"
ping_max: 1
jetstream {{ store_dir: "{folder}", max_file_store: 8GB }}
cluster {{ name: hookbus, listen: "127.0.0.1:{route}", routes: [{routes}] }}
"""


class NatsCluster:
    """Its servers are numbered from 0, and ended with the *stack*."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._ports = [free_port() for _ in range(SERVERS)]
        routes = [free_port() for _ in range(SERVERS)]
        self._files = [folder / f"n{number}.conf" for number in range(SERVERS)]
        for number, file in enumerate(self._files):
            config = CONFIG.format(
                number=number,
                port=self._ports[number],
                route=routes[number],
                folder=folder / f"n{number}",
                routes=", ".join(f'"nats-route://127.0.0.1:{route}"' for route in routes),
            )
            file.write_text(config)
        self._children: dict[int, Child] = {}
        for number in range(SERVERS):
            self.start(number)

    def url(self, first: int = 0) -> str:
        """All servers, *first* the one to begin with."""
        ports = [self._ports[(first + n) % SERVERS] for n in range(SERVERS)]
        return ",".join(f"nats://127.0.0.1:{port}" for port in ports)

    def start(self, number: int) -> None:
        self._children[number] = child = spawn([find_nats_server(), "-c", self._files[number]])
        self._stack.callback(child.terminate, 10.0)

    def kill(self, number: int) -> None:
        os.kill(self._children[number].pid, signal.SIGKILL)


async def connected(cluster: NatsCluster) -> NatsTransport:
    """Connect once the cluster has formed."""

    async def connect() -> NatsTransport | None:
        try:
            return await NatsTransport.connect(cluster.url())
        except TransportError:
            return None

    transport: NatsTransport = await until(connect)
    await until(lambda: _has_leader(transport))
    return transport


async def _has_leader(transport: NatsTransport) -> bool:
    try:
        await transport.jetstream.account_info()
    except (nats.errors.Error, nats.js.errors.Error):
        return False
    return True


async def leader(transport: NatsTransport, stream: str) -> int | None:
    """The number of the server that leads a stream; None while none does."""
    try:
        info = await transport.jetstream.stream_info(stream)
    except (nats.errors.Error, nats.js.errors.Error):
        return None
    if info.cluster is None or not info.cluster.leader:
        return None
    return int(info.cluster.leader.removeprefix("n"))


#: All that hookbus keeps on a broker.
STREAMS: Final = (
    *subjects.STREAM_SUBJECTS,
    subjects.bucket_stream(subjects.CONFIG_BUCKET),
    subjects.bucket_stream(subjects.STATE_BUCKET),
)


async def all_copied(transport: NatsTransport, count: int) -> bool:
    """Tell whether so many servers hold all of everything, and no other does."""
    return [await copies(transport, stream) for stream in STREAMS] == [count] * len(STREAMS)


async def copies(transport: NatsTransport, stream: str) -> int:
    """How many servers hold all of a stream; 0 while it has no leader."""
    try:
        info = await transport.jetstream.stream_info(stream)
    except (nats.errors.Error, nats.js.errors.Error):
        return 0
    if info.cluster is None or not info.cluster.leader:
        return 0
    return 1 + sum(1 for peer in info.cluster.replicas or () if peer.current and not peer.offline)
