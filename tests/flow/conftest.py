"""Flow tests: ``async def`` functions that run on memory, on the real nats-server, or on both."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookbus.broker import find_nats_server
from hookbus.errors import BrokerError
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
def nats_bus(tmp_path: Path) -> Iterator[Bus]:
    """For what only real sockets, threads and processes can show."""
    try:
        find_nats_server()
    except BrokerError as e:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(e))
    engine = NatsEngine(tmp_path / "nats")
    yield Bus(engine)
    engine.broker.stop()


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
