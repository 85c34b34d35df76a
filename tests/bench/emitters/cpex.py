"""cpex's manager, which asks the plugins itself."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cpex.framework import GlobalContext, PluginManager

from tests.bench.cpex_plugin import HOOK, EventPayload
from tests.bench.load import Emit
from tests.bench.scenarios import DATA, Answer


@asynccontextmanager
async def emitter(url: str, plugins: list[str]) -> AsyncIterator[Emit]:
    """*url* is the file with the manager's configuration."""
    logging.disable(logging.WARNING)  # it would write a line for each Block
    manager = PluginManager(url)
    await manager.initialize()
    ids = itertools.count()

    async def emit() -> Answer:
        context = GlobalContext(request_id=str(next(ids)))
        result, _ = await manager.invoke_hook(HOOK, EventPayload(**DATA), context)
        if not result.continue_processing:
            return Answer("block", result.violation.plugin_name)
        changed = result.modified_payload
        return Answer("continue") if changed is None else Answer("intercept", None, changed.marks)

    try:
        yield emit
    finally:
        await manager.shutdown()
