"""One generation for one event, and how a new one reaches the dispatchers (R16)."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.dispatch.role import LAPSE_GRACE
from hookbus.errors import ControlError
from tests.flow.bus import Bus
from tests.flow.scripted import CONTINUE, Scripted, says


async def test_an_event_keeps_the_generation_it_began_with(bus: Bus) -> None:
    slow = Scripted("a", CONTINUE.at(0.2), phase="mutate")
    await bus.start(slow)
    before = await bus.served()
    running = bus.begin(bus.emit())
    await bus.until(lambda: len(slow.calls) == 1)

    newcomer = Scripted("z", says("block", reason="no"))
    await bus.add(newcomer)
    decision = await running

    assert bus.dispatcher.ingress.generation > before
    assert decision.generation == before
    assert decision.outcome == "continue"
    assert newcomer.calls == []


async def test_the_next_event_uses_the_new_generation(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    before = await bus.emit()

    await bus.add(Scripted("z", says("block", reason="no")))
    after = await bus.emit()

    assert after.generation > before.generation
    assert after.by == "z"


async def test_every_call_of_one_event_names_the_same_generation(bus: Bus) -> None:
    first = Scripted("a", CONTINUE.at(0.1), phase="mutate")
    last = Scripted("b")
    await bus.start(first, last)
    running = bus.begin(bus.emit())
    await bus.until(lambda: len(first.calls) == 1)

    await bus.add(Scripted("c"))
    decision = await running

    assert first.calls[0]["generation"] == last.calls[0]["generation"] == decision.generation


async def test_an_equal_configuration_makes_no_new_generation(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    before = await bus.served()

    answer = await plugin.announce()

    assert answer["state"] == "bound"
    assert answer["generation"] == await bus.served() == before


async def test_types_and_limits_come_with_the_generation(bus: Bus) -> None:
    await bus.start()
    await bus.emit({"text": "x" * 3_000})

    await bus.start_registry(max_event_bytes=2_000)
    await bus.served()
    decision = await bus.emit({"text": "x" * 3_000})

    assert decision.code == "event_too_large"


async def test_wait_generation_returns_when_every_dispatcher_serves_it(bus: Bus) -> None:
    await bus.start()
    await bus.start_dispatcher()
    generation = await bus.served()

    answer = await bus.control("wait_generation", generation=generation)

    assert answer["generation"] == generation
    assert answer["dispatchers"] == 2


async def test_wait_generation_waits_for_a_generation_that_is_still_to_come(bus: Bus) -> None:
    await bus.start()
    wanted = await bus.served() + 1
    waiting = bus.begin(bus.control("wait_generation", generation=wanted))

    await bus.add(Scripted("a"))
    answer = await waiting

    assert answer["generation"] == wanted


async def test_wait_generation_gives_up_and_says_what_is_served(bus: Bus) -> None:
    await bus.start()
    generation = await bus.served()

    with pytest.raises(ControlError, match=rf"dispatchers serve {generation}") as refused:
        await bus.control("wait_generation", generation=generation + 1, timeout_ms=300)

    assert refused.value.code == "timeout"


async def test_wait_generation_without_a_dispatcher_says_so(bus: Bus) -> None:
    await bus.start_registry()

    with pytest.raises(ControlError, match="no dispatcher answers") as refused:
        await bus.control("wait_generation", generation=1, timeout_ms=300)

    assert refused.value.code == "timeout"


async def test_wait_generation_without_a_timeout_of_its_own_is_answered_all_the_same(
    memory_bus: Bus,
) -> None:
    await memory_bus.start_registry()

    with pytest.raises(ControlError) as refused:
        await memory_bus.control("wait_generation", generation=1)

    assert refused.value.code == "timeout"


async def test_a_dispatcher_tells_its_generation_and_counters_in_its_stats(bus: Bus) -> None:
    await bus.start(Scripted("a"))
    await bus.emit()

    [stats] = await bus.ask("STATS", "hookbus-dispatcher")

    data = stats["endpoints"][0]["data"]
    assert data["generation"] == bus.dispatcher.ingress.generation
    assert data["in_flight"] == 0
    assert data["counters"]["decisions"] == 1
    assert {
        "late_reply",
        "duplicate_responder",
        "spoofed_reply",
        "unmatched_reply",
        "rejected_mutations",
        "shadow_blocks",
        "extension_ignored",
    } <= data["counters"].keys()


async def test_stats_tell_how_long_decisions_and_answers_took(bus: Bus) -> None:
    await bus.start(
        Scripted("a", CONTINUE.at(0.03)), Scripted("b", phase="mutate", when=["event.id == ''"])
    )
    await bus.emit()
    await bus.until(lambda: bus.counters["decisions"] == 1)

    [stats] = await bus.ask("STATS", "hookbus-dispatcher")

    latencies = stats["endpoints"][0]["data"]["latencies"]
    assert latencies["decisions"]["count"] == 1
    assert latencies["plugins"].keys() == {"a"}  # b was not called
    a = latencies["plugins"]["a"]
    assert (a["count"], sum(a["counts"])) == (1, 1)
    assert 30 <= a["sum_ms"] <= latencies["decisions"]["sum_ms"]
    least = latencies["bounds_ms"].index(20)
    assert sum(a["counts"][: least + 1]) == 0


async def test_a_mode_ends_in_time_though_no_registry_runs_any_more(memory_bus: Bus) -> None:
    bus = memory_bus
    await bus.start(Scripted("a", says("block", reason="no")), Scripted("b"))
    await bus.control("mode", plugin="a", mode="shadow", for_s=1)
    await bus.control("mode", plugin="b", mode="off", for_s=3)
    generation = await bus.served()
    bus.registry.stop()  # its timer, as of a process that was killed

    modes = []
    for seconds in (1.5, 1.5, 5.0):  # the wall clock stands still in virtual time
        await asyncio.sleep(seconds)
        decision = await bus.emit()
        modes.append([(record.plugin, record.mode) for record in decision.records])
        assert decision.generation == generation

    assert modes == [[], [("a", "enforce")], [("a", "enforce"), ("b", "enforce")]]


async def test_the_end_of_a_mode_that_was_changed_meanwhile_changes_nothing(
    memory_bus: Bus,
) -> None:
    bus = memory_bus
    await bus.start(Scripted("a", says("block", reason="no")))
    await bus.control("mode", plugin="a", mode="shadow", for_s=1)
    await bus.served()
    await bus.control("mode", plugin="a", mode="warn")
    generation = await bus.served()
    bus.registry.stop()

    await asyncio.sleep(1 + LAPSE_GRACE + 0.5)
    decision = await bus.emit()

    assert (decision.generation, decision.warnings) == (generation, ("a: no",))
