"""Flow tests: ``async def`` functions that run on memory, on the real nats-server, or on both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hookbus.broker import EmbeddedBroker
from tests.flow.bus import Bus
from tests.flow.engines import MemoryEngine, NatsEngine


@pytest.fixture(params=["memory", "nats"])
def bus(request: pytest.FixtureRequest) -> Bus:
    """A bus that each test gets twice: with virtual time, and for real."""
    found: Bus = request.getfixturevalue(f"{request.param}_bus")
    return found


@pytest.fixture
def memory_bus() -> Bus:
    """For what only exact times, or a broker that can be told to refuse, can show."""
    return Bus(MemoryEngine())


@pytest.fixture
def nats_bus(own_broker: EmbeddedBroker) -> Bus:
    """For what only real sockets, threads and processes can show."""
    return Bus(NatsEngine(own_broker))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test on the loop of its bus."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    bus = next(value for value in arguments.values() if isinstance(value, Bus))
    bus.engine.run(_scenario(bus, pyfuncitem.obj, arguments))
    return True


async def _scenario(
    bus: Bus, test: Callable[..., Coroutine[Any, Any, None]], arguments: dict[str, Any]
) -> None:
    async with bus:
        await test(**arguments)
