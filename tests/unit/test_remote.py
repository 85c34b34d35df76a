"""Asking plugins over a broker in memory: slots, timers, cancelled waits, what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from hookbus.measures import Counters
from hookbus.message import Message
from hookbus.runtimes.base import Allowance, Question, Reply
from hookbus.runtimes.remote import Remote, call_ids
from hookbus.snapshot import Binding
from hookbus.testing import MemoryBroker, MemoryTransport, run_virtual
from hookbus.wire.call import CallTail

TAIL = CallTail(1, 1, b"", b'{"id":"1"}')


@dataclass
class World:
    """A dispatcher's side and a plugins' side of one broker."""

    broker: MemoryBroker
    dispatcher: MemoryTransport
    plugins: MemoryTransport
    remote: Remote
    counters: Counters

    async def serve(self, plugin: str, after: float = 0.0, **members: Any) -> None:
        """Answer every call of *plugin*; a *body* in *members* is sent as it is."""

        async def answer(message: Message) -> None:
            await asyncio.sleep(after)
            call = msgspec.json.decode(message.data)
            said = {"v": 1, "call": call["call"], "attempt": 1, "plugin": plugin}
            body = msgspec.json.encode({**said, "verdict": "continue", **members})
            await self.plugins.publish(message.reply, body)

        def on_call(message: Message) -> None:
            tasks.append(asyncio.ensure_future(answer(message)))

        tasks: list[asyncio.Task[None]] = []
        await self.plugins.subscribe(f"hookbus.call.{plugin}.h", on_call, queue=plugin)

    async def ask(self, *questions: Question) -> list[Reply]:
        return await self.remote.ask(questions, TAIL)


def on_a_broker(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """Run a test with virtual time on a world of its own."""

    async def scenario() -> None:
        broker = MemoryBroker()
        dispatcher, plugins = MemoryTransport(broker), MemoryTransport(broker)
        counters = Counters()
        remote = Remote(dispatcher, "d1", counters)
        await remote.start()
        await test(World(broker, dispatcher, plugins, remote, counters))

    def run() -> None:
        run_virtual(scenario())

    run.__name__ = getattr(test, "__name__", "test")
    return run


def question(plugin: str, timeout: float = 0.2) -> Question:
    binding = Binding(
        plugin=plugin,
        hook="h",
        version="1.0.0",
        type="x_done",
        phase="validate",
        timeout_ms=int(timeout * 1000),
    )
    return binding, Allowance(timeout, is_shortened=False, cap=timeout)


def now() -> float:
    return asyncio.get_running_loop().time()


@on_a_broker
async def test_replies_stand_in_the_order_of_the_questions_with_their_own_times(
    world: World,
) -> None:
    await world.serve("slow", after=0.1, verdict="block", reason="slow")
    await world.serve("quick", after=0.02)

    slow, quick = await world.ask(question("slow"), question("quick"))

    assert (slow.answer.reason, quick.answer.verdict) == ("slow", "continue")
    assert [slow.ms, quick.ms] == pytest.approx([100, 20])
    assert now() == pytest.approx(0.1)


@on_a_broker
async def test_each_call_of_a_stage_has_its_own_timeout(world: World) -> None:
    for plugin in ("a", "b", "c"):
        await world.serve(plugin, after=9.0)

    replies = await world.ask(question("a", 0.3), question("b", 0.1), question("c", 0.2))

    assert [r.answer.failure for r in replies] == ["timeout"] * 3
    assert [r.ms for r in replies] == pytest.approx([300, 100, 200])
    assert now() == pytest.approx(0.3)


@on_a_broker
async def test_a_plugin_that_is_not_there_takes_no_time(world: World) -> None:
    [reply] = await world.ask(question("nobody"))

    assert reply.answer.failure == "no_responders"
    assert now() == 0


@on_a_broker
async def test_a_lost_connection_ends_every_open_call_at_once(world: World) -> None:
    await world.serve("a", after=9.0)
    await world.serve("b", after=0.01)
    asking = asyncio.ensure_future(world.ask(question("a", 5.0), question("b", 5.0)))
    await asyncio.sleep(0.05)

    world.broker.disconnect(world.dispatcher)
    a, b = await asking

    assert (a.answer.failure, b.answer.verdict) == ("transport", "continue")
    assert now() == pytest.approx(0.05)


@on_a_broker
async def test_without_a_connection_nothing_is_sent_and_nothing_waited_for(world: World) -> None:
    world.broker.disconnect(world.dispatcher)

    [reply] = await world.ask(question("a"))

    assert reply.answer.failure == "transport"
    assert now() == 0


@on_a_broker
async def test_a_call_larger_than_the_broker_takes_fails_alone(world: World) -> None:
    big = CallTail(1, 1, b"", b'{"text":"' + b"x" * 2_000_000 + b'"}')

    once, allowance = question("b")
    twice = msgspec.structs.replace(once, plugin="a", retry=1)

    replies = await world.remote.ask([(twice, allowance), (once, allowance)], big)

    assert [(r.answer.failure, r.attempt) for r in replies] == [("transport", 2), ("transport", 1)]
    assert "2000" in (replies[0].answer.reason or "")


@on_a_broker
async def test_a_cancelled_wait_leaves_its_late_reply_to_be_counted(world: World) -> None:
    await world.serve("a", after=0.05)
    asking = asyncio.ensure_future(world.ask(question("a")))
    await asyncio.sleep(0.01)

    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(1.0)
    [reply] = await world.ask(question("a"))

    assert world.counters["late_reply"] == 1
    assert reply.answer.verdict == "continue"


@on_a_broker
async def test_what_still_waits_when_the_dispatcher_stops_is_cancelled(world: World) -> None:
    await world.serve("a", after=9.0)
    asking = asyncio.ensure_future(world.ask(question("a", 5.0)))
    await asyncio.sleep(0.01)

    await world.remote.stop()
    [reply] = await asking

    assert reply.answer.failure == "cancelled"


@on_a_broker
async def test_an_answered_call_is_remembered_for_ten_seconds(world: World) -> None:
    subjects: list[str] = []
    await world.plugins.subscribe("hookbus.call.*.*", lambda m: subjects.append(m.reply))
    await world.serve("a")
    await world.ask(question("a"))

    for seconds in (0.0, 9.9, 0.1):
        await asyncio.sleep(seconds)
        await world.ask(question("a"))  # forgetting is part of finishing a call
        await world.plugins.publish(subjects[0], b"again")
        await asyncio.sleep(0)

    assert world.counters["duplicate_responder"] == 2
    assert world.counters["unmatched_reply"] == 1


@on_a_broker
async def test_how_long_a_call_is_remembered_begins_with_its_own_end(world: World) -> None:
    subjects: list[str] = []
    await world.plugins.subscribe("hookbus.call.*.*", lambda m: subjects.append(m.reply))
    await world.serve("a")
    await world.ask(question("a"))
    await asyncio.sleep(9.0)
    await world.ask(question("a"))
    await asyncio.sleep(2.0)

    for reply in subjects:
        await world.plugins.publish(reply, b"again")
        await asyncio.sleep(0)

    assert world.counters["duplicate_responder"] == 1
    assert world.counters["unmatched_reply"] == 1


@on_a_broker
async def test_a_reply_in_the_last_moment_counts_and_one_behind_it_does_not(world: World) -> None:
    await world.serve("a", after=0.199)
    await world.serve("b", after=0.201)

    a, b = await world.ask(question("a"), question("b"))

    assert (a.answer.verdict, b.answer.failure) == ("continue", "timeout")


def test_call_ids_are_22_characters_and_never_the_same() -> None:
    ids = call_ids()

    made = [next(ids) for _ in range(10_000)]

    assert {len(call_id) for call_id in made} == {22}
    assert len(set(made)) == 10_000
    assert all(set(call_id) <= ALPHABET for call_id in made)


ALPHABET = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
