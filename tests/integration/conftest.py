"""Fixtures of the tests on real brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from tests.integration.worlds import SOON, MemoryWorld, NatsWorld, Runner, World


@pytest.fixture(params=["memory", "nats"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    return NatsWorld(request.getfixturevalue("own_broker"))


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Each of the two event loops, with a limit of time."""

    def run_limited(scenario: Coroutine[Any, Any, None]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(2 * SOON):
                await scenario

        request.param(limited())

    return run_limited
