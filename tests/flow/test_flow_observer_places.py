"""How far observers are in the stream: replays, what its limits take away, what waits."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from hookbus import HookEvent, subjects
from hookbus.errors import ControlError
from tests.flow.bus import HI, Bus
from tests.flow.observers import failing
from tests.flow.scripted import Scripted


async def test_what_a_limit_takes_from_an_observer_at_work_is_counted_and_no_letter(
    nats_bus: Bus,
) -> None:
    """It may be handled a moment later, so there was at most one that it never had."""
    mute = Scripted("mute", phase="observe")
    await nats_bus.start(mute)
    await nats_bus.emit()
    await nats_bus.until(lambda: bool(mute.calls))

    await nats_bus.streams.delete(subjects.OBSERVE_STREAM, 1)
    state: dict[str, Any] = {}
    while state.get("discarded") != 1:
        [plugin] = (await nats_bus.control("list"))["plugins"]
        state = plugin["hooks"][0]["observer"] or {}

    assert not state["discarded_exact"]
    assert (await nats_bus.control("dlq"))["letters"] == []


async def test_an_observer_that_is_new_starts_now_and_a_replay_brings_the_rest(bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await bus.start(observe="always")
    await bus.emitter.emit("message_received", HI, id="before")
    await bus.stored(subjects.OBSERVE_STREAM)
    await bus.serve(failing(seen, lambda: None))
    await bus.emitter.emit("message_received", HI, id="after")
    await bus.until(lambda: bool(seen))
    before = [event.id for event in seen]

    answer = await bus.control("replay", plugin="o", since="2026-01-01T00:00:00Z")
    await bus.until(lambda: len(seen) == 3)

    assert before == ["after"]
    assert answer["observe"] == "always"
    assert answer["hooks"][0]["hook"] == "watch"
    assert [event.id for event in seen] == ["after", "before", "after"]


async def _three_behind(bus: Bus) -> None:
    """An observer that is away, with three events for it in the stream."""
    away = Scripted("o", phase="observe")
    await bus.start(away)
    await away.vanish()
    for _ in range(3):
        await bus.emit()
    await bus.stored(subjects.OBSERVE_STREAM)


async def test_a_replay_of_what_was_not_reached_yet_leaves_the_place(bus: Bus) -> None:
    await _three_behind(bus)
    since = datetime.now(UTC).isoformat()
    await bus.emit()

    [hook] = (await bus.control("replay", plugin="o", since=since))["hooks"]

    assert (hook["is_behind"], hook["waiting"]) == (True, 4)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"plugin": "o", "since": "soon"}, "expected a moment like"),
        ({"plugin": "o"}, "expected a moment like"),
        ({"plugin": "a", "since": "2026-01-01T00:00:00Z"}, "no such hook that observes"),
        ({"plugin": "o", "hook": "x", "since": "2026-01-01T00:00:00Z"}, "it has: watch"),
    ],
)
async def test_a_replay_that_cannot_be_is_refused(
    memory_bus: Bus, members: dict[str, Any], said: str
) -> None:
    await memory_bus.start(Scripted("a"))
    await memory_bus.serve(failing([], lambda: None))

    with pytest.raises(ControlError, match=said):
        await memory_bus.control("replay", **members)


async def test_what_the_limits_of_the_stream_take_away_is_counted(nats_bus: Bus) -> None:
    names = {"rare": "tool_invoked", "all": ">", "mine": "message_received"}
    away = [Scripted(name, phase="observe", type=kind) for name, kind in names.items()]
    await nats_bus.start(*away, streams={"OBSERVE": {"max_bytes": 30_000}})
    for observer in away:
        await observer.vanish()
    await emit_both(nats_bus, 10)
    await nats_bus.observing.look()

    for _ in range(3):
        await emit_both(nats_bus, 10)
        states = await nats_bus.observing.look()

    extent = await nats_bus.streams.extent(subjects.OBSERVE_STREAM, "hookbus.observe.>")
    left = {subject.rpartition(".")[2]: count for subject, count in extent.messages.items()}
    assert sum(left.values()) < 60
    for plugin, gone in (
        ("rare", 40 - left["tool_invoked"]),
        ("mine", 40 - left["message_received"]),
        ("all", 80 + 4 - sum(left.values())),  # and what `stored` put there
    ):
        state = states[plugin, "hook"]
        assert (state.discarded, state.discarded_exact) == (gone, True), plugin


async def emit_both(bus: Bus, count: int) -> None:
    for _ in range(count):
        await bus.emit()
        await bus.emit({"name": "x", "args": {}}, type="tool_invoked")
    await bus.stored(subjects.OBSERVE_STREAM)


async def test_an_observer_that_had_everything_lost_nothing_to_the_limits(nats_bus: Bus) -> None:
    seen: list[HookEvent[Any]] = []
    await nats_bus.start(streams={"OBSERVE": {"max_bytes": 30_000}})
    await nats_bus.serve(failing(seen, lambda: None))
    for number in range(1, 5):
        for _ in range(20):
            await nats_bus.emit()
        await nats_bus.until(lambda number=number: len(seen) == 20 * number)
        states = await nats_bus.observing.look()

    extent = await nats_bus.streams.extent(subjects.OBSERVE_STREAM)
    assert extent.first > 1
    assert (states["o", "watch"].discarded, states["o", "watch"].discarded_exact) == (0, True)


async def test_two_thousand_events_with_a_dead_observer_stay_in_the_stream_alone(
    nats_bus: Bus,
) -> None:
    away = Scripted("o", phase="observe")
    await nats_bus.start(away, idempotency="off")
    await away.vanish()
    await emit_many(nats_bus, 1_700)
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(3):
            await emit_many(nats_bus, 100)
            await nats_bus.until(lambda: not pending(nats_bus))
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    await nats_bus.stored(subjects.OBSERVE_STREAM)

    states = await nats_bus.observing.look()
    assert states["o", "hook"].waiting == 2_000
    assert nats_bus.dispatcher.counters.as_dict()["unrecorded"] == 0
    assert sizes[-1] - sizes[-2] < 20_000  # bytes; a hundred events are more


def pending(bus: Bus) -> int:
    """Messages that a stream has not acknowledged yet; they are kept so long."""
    return sum(each["pending"] for each in bus.dispatcher.stats()["recording"].values())


async def emit_many(bus: Bus, count: int) -> None:
    for _ in range(count // 50):
        await bus.together(bus.emit() for _ in range(50))


async def test_list_says_how_far_an_observer_is(bus: Bus) -> None:
    await _three_behind(bus)

    [plugin] = (await bus.control("list"))["plugins"]
    observer = plugin["hooks"][0]["observer"]

    assert observer.pop("oldest_s") >= 0
    assert observer == {"waiting": 3, "letters": 0, "discarded": 0, "discarded_exact": True}
