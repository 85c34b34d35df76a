"""What cases are played on: a broker in memory with virtual time, or a real nats-server."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.conformance.cast import Cast, LocalCast
from tests.conformance.player import PlayerProcess
from tests.flow.bus import Bus
from tests.flow.engines import Between, Engine, MemoryEngine, NatsEngine

RELOAD_PATIENCE = 5.0  # seconds


class Stage(Protocol):
    """Where one case is played."""

    engine: Engine

    def scale(self, wanted: float) -> float:
        """By what the times of a case are multiplied."""

    def cast(self, bus: Bus, case_id: str) -> Cast:
        """The scripted plugins of the case."""

    async def kill(self, cast: Cast, plugin: str) -> None:
        """End the process that plays *plugin*, as a crash does."""

    def elapsed(self, ms: float, scale: float) -> object:
        """What a measured duration must equal, in milliseconds."""

    def told(self, ms: float, scale: float) -> object:
        """What a plugin must be told of its time."""

    def below(self, ms: float, scale: float) -> object:
        """What a duration must equal that must be short."""


class MemoryStage:
    """All in one process; times are exact."""

    def __init__(self) -> None:
        self.engine: Engine = MemoryEngine()

    def scale(self, wanted: float) -> float:
        return 1.0

    def cast(self, bus: Bus, case_id: str) -> Cast:
        return LocalCast(bus.connect)

    async def kill(self, cast: Cast, plugin: str) -> None:
        await cast.do("crash", plugin=plugin)

    def elapsed(self, ms: float, scale: float) -> object:
        return pytest.approx(ms, abs=1e-3)

    def told(self, ms: float, scale: float) -> object:
        return pytest.approx(ms, abs=0)

    def below(self, ms: float, scale: float) -> object:
        return Between(0, ms)


class ServerStage:
    """A real nats-server, and the plugins in another process; times have air."""

    def __init__(self, broker: EmbeddedBroker, player: PlayerProcess) -> None:
        self.broker = broker
        self.engine: Engine = NatsEngine(broker)
        self.player = player

    def scale(self, wanted: float) -> float:
        return wanted

    def cast(self, bus: Bus, case_id: str) -> Cast:
        return _RemoteCast(self.player, case_id, self.broker.url)

    async def kill(self, cast: Cast, plugin: str) -> None:
        await self.player.kill()

    def elapsed(self, ms: float, scale: float) -> object:
        return Between(0.9 * ms * scale - 10, 5 * ms * scale + 500)

    def told(self, ms: float, scale: float) -> object:
        return Between(0.4 * ms * scale, ms * scale + 1)

    def below(self, ms: float, scale: float) -> object:
        return Between(0, 5 * ms * scale + 500)


class _RemoteCast:
    def __init__(self, player: PlayerProcess, case_id: str, url: str) -> None:
        self._player = player
        self._case_id = case_id
        self._url = url

    async def do(self, action: str, **arguments: Any) -> Any:
        return await self._player.order(self._case_id, self._url, action, **arguments)


class DenyingBroker(EmbeddedBroker):
    """A nats-server that refuses everybody to publish on one subject.

    There is no such option: the configuration is changed under the running server, which then
    wants a user and a password.
    """

    @property
    def url(self) -> str:
        return super().url.replace("nats://", "nats://any:password@")

    def deny(self, subject: str) -> None:
        """Refuse *subject* from now on."""
        permissions = f'{{ publish: {{ deny: ["{subject}"] }} }}'
        user = f"{{ user: any, password: password, permissions: {permissions} }}"
        with (self.data_dir / "nats-server.conf").open("a") as file:
            file.write(f"authorization {{ users: [ {user} ] }}\n")
        os.kill(self.pid, signal.SIGHUP)
        _wait_for(self.log_file, "Reloaded server configuration")


def _wait_for(log_file: Path, text: str) -> None:
    deadline = time.monotonic() + RELOAD_PATIENCE
    while text not in log_file.read_text():
        assert time.monotonic() < deadline, f"nats-server did not say {text!r}"
        time.sleep(0.005)


class Cleaner:
    """Deletes what a case left on a server: every stream and bucket."""

    def __init__(self, transport: NatsTransport) -> None:
        self._transport = transport

    @classmethod
    async def of(cls, broker: EmbeddedBroker) -> Cleaner:
        return cls(await NatsTransport.connect(broker.url, principal="cleaner"))

    async def clean(self) -> None:
        for stream in await self._streams():
            await self._transport.request(f"$JS.API.STREAM.DELETE.{stream}", b"", timeout=5.0)

    async def close(self) -> None:
        await self._transport.close()

    async def _streams(self) -> list[str]:
        reply = await self._transport.request("$JS.API.STREAM.NAMES", b"", timeout=5.0)
        found: list[str] = msgspec.json.decode(reply.data).get("streams") or []
        return found
