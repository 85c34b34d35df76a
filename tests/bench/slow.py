"""A broker whose JetStream is far away: whatever is stored takes its time, and nothing else does.

The server that everybody connects to has no JetStream. It is a leaf of one that has, and the way
between the two is a process that hands every byte on later. A disk that is slow would be something
else: a single nats-server stores what it reads before it reads on, so all of its clients wait.

    python -m tests.bench.slow PORT DELAY    carries connections to PORT, DELAY seconds each way
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hookbus.broker import find_nats_server
from hookbus.loop import run
from hookbus.processes import spawn

DELAY: Final = 0.05  # seconds, there and back each
#: The account without a name has its JetStream for itself.
_ACCOUNT: Final = """max_payload: 8MB
accounts { BUS { %s users: [ { user: bus, password: bus } ] } }
no_auth_user: bus
"""
_FAR_API: Final = 'mappings: { "$JS.API.>": "$JS.far.API.>" },'
STARTED: Final = 1.5  # seconds that a server and its leaf connection have


class SlowBroker:
    """As much of a broker as `tests.bench.processes.Started` needs."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        folder.mkdir()
        port, leaves = _free_port(), _free_port()
        account = _ACCOUNT % "jetstream: enabled,"
        store = f'jetstream {{ store_dir: "{folder}", domain: far }}\n{account}'
        far = f'{store}leafnodes {{ listen: "127.0.0.1:{leaves}" }}\n'
        _start(stack, folder / "far.conf", _free_port(), far)
        carrier = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.slow", str(leaves), str(DELAY)],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(carrier.wait)
        stack.callback(carrier.kill)
        assert carrier.stdout is not None
        stack.callback(carrier.stdout.close)
        way = int(carrier.stdout.readline())
        remote = f'{{ urls: ["nats-leaf://bus:bus@127.0.0.1:{way}"], account: BUS }}'
        near = f"{_ACCOUNT % _FAR_API}leafnodes {{ remotes: [ {remote} ] }}\n"
        self.pid = _start(stack, folder / "near.conf", port, near)
        self.url = f"nats://127.0.0.1:{port}"


def _start(stack: ExitStack, file: Path, port: int, config: str) -> int:
    """Start one server; return its process id."""
    file.write_text(f'host: "127.0.0.1"\nport: {port}\n{config}')
    child = spawn([find_nats_server(), "-c", file, "-l", file.with_suffix(".log")])
    stack.callback(child.terminate, 2.0)
    time.sleep(STARTED)
    return child.pid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def carry(target: int, delay: float) -> None:
    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_later(reader, far_writer, delay), _later(far_reader, writer, delay))

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65_536):
            loop.call_later(delay, writer.write, part)
    loop.call_later(delay, writer.close)


if __name__ == "__main__":
    run(carry(int(sys.argv[1]), float(sys.argv[2])))
