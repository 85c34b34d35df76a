"""What key-value buckets do: in memory under virtual time, and over NATS."""

from __future__ import annotations

import pytest

from hookbus.errors import (
    Disconnected,
    KeyConflict,
    PayloadTooLarge,
    TransportError,
)
from hookbus.keyvalue import Entry
from tests.integration.worlds import AUDIT, ORDERS, Mailbox, World, outage, recovery


def test_a_key_has_versions_and_only_the_newest_can_be_updated(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())

        first = await bucket.put("k", b"1")
        second = await bucket.update("k", b"2", first)

        assert (first, second) == (1, 2)
        assert await bucket.get("k") == Entry(b"2", 2)
        with pytest.raises(KeyConflict, match="bucket 'things': key 'k': expected revision 1"):
            await bucket.update("k", b"3", first)
        with pytest.raises(KeyConflict, match="expected no value yet"):
            await bucket.update("k", b"3", 0)
        assert await bucket.get("k") == Entry(b"2", 2)

    world.run(scenario())


def test_a_deleted_key_is_gone_and_can_be_made_again(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        created = await bucket.update("k", b"1", 0)
        await bucket.put("other", b"")

        await bucket.delete("k")

        assert await bucket.get("k") is None
        assert await bucket.keys() == ["other"]
        with pytest.raises(KeyConflict):
            await bucket.update("k", b"2", created)
        assert await bucket.update("k", b"2", 0) == 4
        assert await bucket.keys() == ["k", "other"]

    world.run(scenario())


def test_a_missing_key_is_none_and_an_empty_value_is_a_value(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        await bucket.put("empty", b"")

        assert await bucket.get("missing") is None
        assert await bucket.get("empty") == Entry(b"", 1)
        assert await bucket.keys() == ["empty"]

    world.run(scenario())


@pytest.mark.parametrize("key", ["", "a b", "a*", ">", ".a", "a..b", "a\n"])
def test_what_cannot_name_a_key_is_refused(world: World, key: str) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())

        for refused in (
            bucket.get(key),
            bucket.put(key, b""),
            bucket.update(key, b"", 0),
            bucket.delete(key),
            bucket.watch(key, Mailbox()),
        ):
            with pytest.raises(TransportError, match="expected a key"):
                await refused

    world.run(scenario())


def test_a_value_above_max_payload_is_refused(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        bucket = await world.bucket(transport)

        with pytest.raises(PayloadTooLarge):
            await bucket.put("k", bytes(transport.max_payload))
        with pytest.raises(PayloadTooLarge):
            await bucket.update("k", bytes(transport.max_payload), 0)

    world.run(scenario())


def test_a_watch_gives_the_version_there_is_and_each_later_one(world: World) -> None:
    async def scenario() -> None:
        bucket = await world.bucket(await world.connect())
        mailbox = Mailbox()
        await bucket.put("k", b"0")
        await bucket.put("k", b"1")

        watch = await bucket.watch("k", mailbox)
        assert mailbox.queue.get_nowait() == Entry(b"1", 2)
        await bucket.put("other", b"x")
        await bucket.put("k", b"2")
        await bucket.delete("k")
        await bucket.put("k", b"3")
        later = [await mailbox.next(), await mailbox.next()]
        await watch.stop()
        await bucket.put("k", b"4")
        await watch.stop()

        assert later == [Entry(b"2", 4), Entry(b"3", 6)]
        assert mailbox.queue.empty()

    world.run(scenario())


def test_a_failing_callback_does_not_end_its_watch(world: World) -> None:
    async def scenario() -> None:
        bucket, mailbox = await world.bucket(await world.connect()), Mailbox()

        def fail(entry: Entry) -> None:
            mailbox(entry)
            raise ValueError("the callback's own")

        await bucket.watch("k", fail)

        await bucket.put("k", b"1")
        await bucket.put("k", b"2")

        assert [await mailbox.next(), await mailbox.next()] == [Entry(b"1", 1), Entry(b"2", 2)]

    world.run(scenario())


def test_a_watch_gives_what_was_written_while_its_connection_was_away(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        bucket = await world.bucket(transport)
        await bucket.put("k", b"1")
        await bucket.watch("k", mailbox)
        assert await mailbox.next() == Entry(b"1", 1)

        for number in (2, 3):
            await outage(world, transport)
            world.restart()
            other = await world.bucket(await world.connect())  # it is there before the watcher
            await other.put("k", b"%d" % number)

            assert await mailbox.next() == Entry(b"%d" % number, number)

    world.run(scenario())


def test_a_version_that_was_seen_is_not_given_again_after_a_reconnect(world: World) -> None:
    async def scenario() -> None:
        transport, mailbox = await world.connect(), Mailbox()
        bucket = await world.bucket(transport)
        await bucket.put("k", b"1")
        await bucket.watch("k", mailbox)
        await mailbox.next()

        await outage(world, transport)
        await recovery(world, transport)
        await bucket.put("k", b"2")

        assert await mailbox.next() == Entry(b"2", 2)

    world.run(scenario())


def test_without_a_connection_streams_and_buckets_say_so(world: World) -> None:
    async def scenario() -> None:
        transport = await world.connect()
        bucket, streams = await world.bucket(transport), world.streams(transport)

        await outage(world, transport)

        for refused in (
            bucket.get("k"),
            bucket.keys(),
            bucket.put("k", b""),
            bucket.update("k", b"", 0),
            bucket.delete("k"),
            bucket.watch("k", Mailbox()),
            streams.ensure_stream(ORDERS),
            streams.ensure_consumer(AUDIT),
            streams.consumers("ORDERS"),
            streams.delete_consumer("ORDERS", "audit"),
            streams.read("ORDERS", 1),
        ):
            with pytest.raises(Disconnected):
                await refused

    world.run(scenario())
