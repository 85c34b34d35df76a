"""A host for as long as it runs, and its metrics offered to a collector meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping

from hookbus import __version__
from hookbus.otel.losses import Losses
from hookbus.otel.setup import start
from hookbus.server.health import families_of
from hookbus.server.host import Host


@contextlib.asynccontextmanager
async def hosted(
    host: Host, losses: Losses, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[None]:
    """Run *host*, and export what it measures if an ``OTEL_…`` variable says where to.

    The numbers are read on the loop, which is the only one to write them. The last ones are read
    when the role begins to stop and go out meanwhile: a collector that is dead takes no time of it.
    """
    host.start()
    metrics = start("metrics", f"hookbus-{host.role.name}", __version__, environ)
    if metrics is None:
        try:
            yield
        finally:
            await host.stop()
        return

    losses.ask(metrics.stop)

    async def offer() -> None:
        while True:
            await asyncio.sleep(metrics.interval)
            metrics.offer(families_of(host))

    offering = asyncio.get_running_loop().create_task(offer())
    try:
        yield
    finally:
        offering.cancel()
        metrics.offer(families_of(host), is_last=True)
        await host.stop()
