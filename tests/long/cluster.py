"""python -m tests.long.cluster: the leader of HOOKBUS_DECISIONS is killed under 64 in flight.

Three nats-servers, replicas = 3. First the leader that the emitter is not connected to, then the
one that it is: verdicts go on, and the records catch up once there is a leader again. Exit code 1
when a decision was wrong, what was acknowledged is lost or there twice, or emits failed for longer
than two seconds after the kill.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hookbus import subjects
from hookbus.transport import NatsTransport
from tests.chaos.__main__ import HEADER, PLUGIN_TIMEOUT_MS, row, show
from tests.chaos.answers import SMALL_STREAMS, observed
from tests.chaos.cluster import Cluster, until
from tests.chaos.nats_cluster import SERVERS, NatsCluster, all_copied, connected, leader
from tests.chaos.trial import Result, trial
from tests.chaos.troubles import Trouble

ROUNDS: Final = 2


def kill_leader(servers: NatsCluster, cluster: Cluster, *, is_emitters: bool) -> Result:
    """Kill it, judge what was emitted meanwhile, and bring it back."""
    leading = asyncio.run(_whole(servers))
    where = "its" if is_emitters else "another"
    # nothing returns: all must be well though the server stays away
    trouble = Trouble(f"leader, {where} server", lambda: servers.kill(leading))
    result = trial(cluster, trouble, servers.url(leading if is_emitters else leading + 1))
    servers.start(leading)
    return result


async def _whole(servers: NatsCluster) -> int:
    """Wait until all servers hold all streams; return who leads the decisions."""
    transport = await connected(servers)
    try:
        await until(lambda: all_copied(transport, SERVERS), patience=60.0)
        number = await until(lambda: _leader_plus_one(transport))
        return int(number) - 1
    finally:
        await transport.close()


async def _leader_plus_one(transport: NatsTransport) -> int:
    number = await leader(transport, subjects.DECISIONS_STREAM)
    return 0 if number is None else number + 1


def main() -> None:
    show(HEADER)
    problems: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-cluster-")))
        servers = NatsCluster(stack, folder)
        asyncio.run(_formed(servers))
        settings = {**observed(PLUGIN_TIMEOUT_MS), "streams": SMALL_STREAMS, "replicas": SERVERS}
        cluster = Cluster(stack, folder, servers.url(), settings=settings)
        for number in range(2 * ROUNDS):
            started = time.monotonic()
            result = kill_leader(servers, cluster, is_emitters=number % 2 == 1)
            show(row(result))
            print(f"    all recorded and observed after {time.monotonic() - started:.1f} s")
            for problem in result.problems:
                print(f"    {problem[:300]}", flush=True)
            problems += result.problems
    sys.exit(f"{len(problems)} problems" if problems else 0)


async def _formed(servers: NatsCluster) -> None:
    await (await connected(servers)).close()


if __name__ == "__main__":
    main()
