"""Two registries on one broker: what both change at the same time is all kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from hookbus import subjects
from hookbus.keyvalue import KeyValue
from hookbus.registry.registry import Registry
from hookbus.transport import Transport
from tests.flow.bus import Bus

A, B = "racer-a", "racer-b"


class Slow:
    """A bucket that holds writes back until it is told to go on; all else is the bucket's own."""

    def __init__(self, bucket: KeyValue, reached: asyncio.Event, go_on: asyncio.Event) -> None:
        self._bucket = bucket
        self._reached = reached
        self._go_on = go_on

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bucket, name)
        return self._held(found) if name in ("put", "update", "delete") else found

    def _held(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*arguments: Any, **named: Any) -> Any:
            self._reached.set()
            await self._go_on.wait()
            return await write(*arguments, **named)

        return held


class Two:
    """Two registries; what `slow` writes can be held back until `other` has made its change."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.slow: Registry
        self.other: Registry

    async def cross(self, first: Awaitable[Any], second: Awaitable[Any]) -> None:
        """Let *first*, of `slow`, read all it needs, then *second* happen, then *first* write."""
        self.reached.clear()
        self.go_on.clear()
        changing = asyncio.ensure_future(first)
        await self.reached.wait()
        await second
        self.go_on.set()
        await changing


async def two(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, bucket: str = subjects.STATE_BUCKET
) -> Two:
    made = Two()
    opened = bus.engine.bucket

    async def slow_bucket(transport: Transport, name: str) -> Any:
        found = await opened(transport, name)
        return Slow(found, made.reached, made.go_on) if name == bucket else found

    with monkeypatch.context() as patch:
        patch.setattr(bus.engine, "bucket", slow_bucket)
        made.slow = await bus.start_registry()
    made.other = await bus.start_registry()
    return made


async def announce(
    registry: Registry, plugin: str, instance: str = "i1", **members: Any
) -> dict[str, Any]:
    hook = {"name": "h", "type": "message_received", "phase": "validate"}
    said = {"v": 1, "plugin": plugin, "version": "1.0.0", "instance": instance, "hooks": [hook]}
    answer = await registry.announce(plugin, msgspec.json.encode({**said, **members}))
    decoded: dict[str, Any] = msgspec.json.decode(answer)
    return decoded


async def goodbye(registry: Registry, plugin: str, instance: str) -> None:
    said = {"v": 1, "plugin": plugin, "version": "1.0.0", "instance": instance, "goodbye": True}
    answer = await registry.announce(plugin, msgspec.json.encode(said))
    assert msgspec.json.decode(answer)["state"] == "gone"


async def modes(registry: Registry) -> dict[str, str]:
    """The mode of each plugin that is bound."""
    made = await registry.settings.refresh()
    return {binding.plugin: binding.mode for binding in made.bound.document.bindings}


async def test_a_mode_and_an_announcement_at_once_are_both_kept(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch)
    await announce(both.other, A)

    await both.cross(both.slow.set_mode(A, None, "warn", None, "ops"), announce(both.other, B))

    assert await modes(both.other) == {A: "warn", B: "enforce"}


async def test_modes_that_are_set_at_once_are_both_kept(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch)
    await announce(both.other, A)
    await announce(both.other, B)

    await both.cross(
        both.slow.set_mode(A, None, "warn", None, "ops"),
        both.other.set_mode(B, None, "off", None, "ops"),
    )

    assert await modes(both.other) == {A: "warn", B: "off"}


async def test_a_removal_and_a_mode_at_once_are_both_kept(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch)
    await announce(both.other, A)
    await announce(both.other, B)

    await both.cross(both.slow.set_mode(A, None, "warn", None, "ops"), both.other.remove(B, "ops"))

    assert await modes(both.other) == {A: "warn"}


async def test_replicas_that_announce_at_once_are_both_known(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch)

    await both.cross(announce(both.slow, A, "i1"), announce(both.other, A, "i2"))
    await goodbye(both.other, A, "i1")

    # were i2 forgotten, nobody would ask the plugin any more although i2 still serves it
    assert await modes(both.other) == {A: "enforce"}


async def test_a_goodbye_and_a_new_replica_at_once_leave_the_plugin_bound(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = await two(bus, monkeypatch)
    await announce(both.other, A, "i1")

    await both.cross(goodbye(both.slow, A, "i1"), announce(both.other, A, "i2"))

    assert await modes(both.other) == {A: "enforce"}
