"""The bucket in memory on its own connection; the rest is in integration/test_transports."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.errors import Disconnected
from hookbus.keyvalue import Entry
from hookbus.testing import MemoryBroker, MemoryKeyValue, MemoryTransport, run_virtual


def test_a_bucket_on_a_cut_connection_is_cut_and_catches_up_later() -> None:
    async def scenario() -> list[Entry]:
        broker = MemoryBroker()
        seen: list[Entry] = []
        transport = MemoryTransport(broker)
        cut, living = MemoryKeyValue(broker, "b", transport), MemoryKeyValue(broker, "b")
        await cut.watch("k", seen.append)

        broker.disconnect(transport)
        with pytest.raises(Disconnected):
            await cut.get("k")
        await living.put("k", b"1")
        await living.put("k", b"2")
        await asyncio.sleep(1)
        assert seen == []
        broker.reconnect(transport)
        await asyncio.sleep(0)
        return seen

    assert run_virtual(scenario()) == [Entry(b"2", 2)]


def test_buckets_of_one_name_are_one_and_of_two_names_are_two() -> None:
    async def scenario() -> tuple[Entry | None, Entry | None]:
        broker = MemoryBroker()
        await MemoryKeyValue(broker, "b").put("k", b"1")
        return (
            await MemoryKeyValue(broker, "b").get("k"),
            await MemoryKeyValue(broker, "c").get("k"),
        )

    assert run_virtual(scenario()) == (Entry(b"1", 1), None)


def test_a_version_is_never_handed_over_inside_the_write() -> None:
    async def scenario() -> list[str]:
        bucket, seen = MemoryKeyValue(MemoryBroker(), "b"), []
        await bucket.watch("k", lambda entry: seen.append("seen"))

        await bucket.put("k", b"1")
        seen.append("written")
        await asyncio.sleep(0)
        return seen

    assert run_virtual(scenario()) == ["written", "seen"]
