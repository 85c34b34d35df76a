"""Time: what each plugin is given of an event's budget, and what happens when it ends (R6, R7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Scripted, says


async def test_what_later_stages_need_is_kept_back_from_earlier_ones(bus: Bus) -> None:
    plugins = [
        Scripted("m1", phase="mutate", priority=1, timeout_ms=20_000),
        Scripted("m2", phase="mutate", priority=2, timeout_ms=5_000),
        Scripted("v3", timeout_ms=20_000),
        Scripted("v4", timeout_ms=5_000),
    ]
    await bus.start(*plugins)

    decision = await bus.emit(timeout=10.0)

    assert decision.outcome == "continue"
    told = [plugin.calls[0]["timeout_ms"] for plugin in plugins]
    assert told == [bus.told(9_850), 5_000, bus.told(9_950), 5_000]


async def test_open_plugins_have_nothing_kept_back_for_them(memory_bus: Bus) -> None:
    first = Scripted("a", phase="mutate", priority=1, timeout_ms=2_000)
    await memory_bus.start(
        first,
        Scripted("b", phase="mutate", priority=2, on_failure="open"),
        Scripted("v", on_failure="open"),
    )

    await memory_bus.emit(timeout=1.0)

    assert first.calls[0]["timeout_ms"] == 950


async def test_a_stage_that_could_not_have_its_minimum_gets_an_equal_share(
    memory_bus: Bus,
) -> None:
    first = Scripted("a", phase="mutate", priority=1, min_ms=60)
    second = Scripted("b", phase="mutate", priority=2, min_ms=60)
    validator = Scripted("v", min_ms=60)
    await memory_bus.start(first, second, validator)

    await memory_bus.emit(timeout=0.1)

    assert [p.calls[0]["timeout_ms"] for p in (first, second, validator)] == [30, 45, 90]


async def test_all_of_thirteen_quick_plugins_are_asked_within_a_short_budget(
    memory_bus: Bus,
) -> None:
    mutating = [Scripted(f"m{n}", phase="mutate") for n in range(3)]
    validating = [Scripted(f"v{n}") for n in range(10)]
    await memory_bus.start(*mutating, *validating)

    decision = await memory_bus.emit(timeout=0.1)

    assert decision.outcome == "continue"
    assert [len(p.calls) for p in mutating + validating] == [1] * 13


async def test_a_closed_plugin_that_misses_its_own_timeout_blocks_as_a_failure(bus: Bus) -> None:
    await bus.start(Scripted("a", CONTINUE.at(0.15), timeout_ms=100))

    decision, seconds = await bus.timed(bus.emit())

    assert (decision.outcome, decision.cause, decision.code) == ("block", "failure", "timeout")
    assert decision.reason == "a: timeout: no answer within 100 ms"
    assert seconds == bus.about(0.1)
    assert decision.records[0].ms / 1000 == bus.about(0.1)


async def test_a_late_answer_is_dropped_and_counted(bus: Bus) -> None:
    await bus.start(Scripted("a", CONTINUE.at(0.15), timeout_ms=100))
    await bus.emit()

    await bus.until(lambda: bus.counters["late_reply"] > 0)

    assert bus.counters["late_reply"] == 1
    assert bus.counters["decisions"] == 1


async def test_a_timeout_that_the_budget_shortened_has_the_cause_deadline(bus: Bus) -> None:
    await bus.start(Scripted("a", SILENCE, timeout_ms=5_000))

    decision, seconds = await bus.timed(bus.emit_within(300))

    assert (decision.outcome, decision.cause, decision.code) == ("block", "deadline", "timeout")
    assert decision.by == "a"
    assert seconds == bus.about(0.27)


async def test_when_the_budget_ends_open_plugins_that_were_not_called_let_the_event_pass(
    bus: Bus,
) -> None:
    slow: dict[str, Any] = {"phase": "mutate", "timeout_ms": 4_000, "on_failure": "open"}
    first = Scripted("m1", SILENCE, priority=1, **slow)
    second, third = Scripted("m2", priority=2, **slow), Scripted("m3", priority=3, **slow)
    await bus.start(first, second, third)

    decision, seconds = await bus.timed(bus.emit_within(500))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert [(r.failure, r.resolution, r.attempt) for r in decision.records] == [
        ("timeout", "failed_open", 1),
        ("timeout", "failed_open", 0),
        ("timeout", "failed_open", 0),
    ]
    assert second.calls == third.calls == []
    assert seconds == bus.about(0.45)


async def test_a_closed_mutator_behind_one_that_hangs_has_its_minimum_left(
    memory_bus: Bus,
) -> None:
    hangs = Scripted("a", SILENCE, phase="mutate", priority=1, timeout_ms=4_000, on_failure="open")
    behind = Scripted("b", phase="mutate", priority=2, timeout_ms=4_000, min_ms=70)
    await memory_bus.start(hangs, behind)

    decision, seconds = await memory_bus.timed(memory_bus.emit(timeout=1.0))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert [p.calls[0]["timeout_ms"] for p in (hangs, behind)] == [880, 70]
    assert seconds == memory_bus.about(0.88)


async def test_a_closed_validator_is_asked_although_an_open_mutator_hangs(bus: Bus) -> None:
    validator = Scripted("v", min_ms=200)
    hangs = Scripted("m", SILENCE, phase="mutate", timeout_ms=1_000, on_failure="open")
    await bus.start(hangs, validator)

    decision, seconds = await bus.timed(bus.emit_within(1_000))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert len(validator.calls) == 1
    assert seconds == bus.about(0.75)


async def test_the_emitter_receives_what_was_decided_at_the_last_moment(bus: Bus) -> None:
    await bus.start(Scripted("a", SILENCE, timeout_ms=5_000, on_failure="open"))

    decision, seconds = await bus.timed(bus.emit(timeout=0.5))

    assert (decision.outcome, decision.degraded) == ("continue", True)
    assert 0.445 <= seconds < 0.5


async def test_an_event_without_a_timeout_gets_the_types_own(bus: Bus) -> None:
    plugin = Scripted("a", timeout_ms=30_000)
    await bus.start(plugin, types={"message_received": {"timeout_ms": 2_000}})

    await bus.send(_event())

    assert plugin.calls[0]["timeout_ms"] == bus.told(1_950)


async def test_an_event_without_a_timeout_gets_the_bus_own(bus: Bus) -> None:
    plugin = Scripted("a", timeout_ms=30_000)
    await bus.start(plugin, timeout_ms=3_000)

    await bus.send(_event())

    assert plugin.calls[0]["timeout_ms"] == bus.told(2_950)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_timeout_ms": 4_000},
        {"types": {"message_received": {"max_timeout_ms": 4_000}}},
    ],
)
async def test_a_timeout_above_the_maximum_is_cut(bus: Bus, settings: dict[str, Any]) -> None:
    plugin = Scripted("a", timeout_ms=30_000)
    await bus.start(plugin, **settings)

    await bus.send(_event(hbtimeoutms=3_600_000))

    assert plugin.calls[0]["timeout_ms"] == bus.told(3_950)


async def test_the_smaller_of_attribute_and_header_is_the_events_timeout(bus: Bus) -> None:
    plugin = Scripted("a", timeout_ms=30_000)
    await bus.start(plugin)

    await bus.send(_event(hbtimeoutms=10_000), headers={"Hookbus-Timeout-Ms": "2000"})
    await bus.send(_event(id="2", hbtimeoutms=2_000), headers={"Hookbus-Timeout-Ms": "10000"})

    assert [c["timeout_ms"] for c in plugin.calls] == [bus.told(1_950), bus.told(1_950)]


async def test_the_timeout_of_the_operator_wins_over_the_plugins_wish(bus: Bus) -> None:
    plugin = Scripted("a", SILENCE, timeout_ms=5_000)
    await bus.start(plugin, plugins={"a": {"hooks": {"hook": {"timeout_ms": 80}}}})

    decision, seconds = await bus.timed(bus.emit())

    assert plugin.calls[0]["timeout_ms"] == 80
    assert decision.code == "timeout"
    assert seconds == bus.about(0.08)


async def test_mixed_failures_of_open_plugins_leave_a_degraded_continue(bus: Bus) -> None:
    await bus.start(
        Scripted("a", SILENCE, on_failure="open", timeout_ms=50), Scripted("b", CONTINUE)
    )

    decision = await bus.emit()

    assert (decision.outcome, decision.degraded) == ("continue", True)


async def test_an_extension_of_time_is_ignored_and_counted_in_this_version(bus: Bus) -> None:
    asks = (says("extend", extend_ms=200), CONTINUE.at(0.25))
    await bus.start(Scripted("a", asks, timeout_ms=100))

    decision, seconds = await bus.timed(bus.emit())

    assert decision.code == "timeout"
    assert bus.counters["extension_ignored"] == 1
    assert seconds == bus.about(0.1)


def _event(**attributes: Any) -> bytes:
    event = {"specversion": "1.0", "id": "1", "source": "/t", "type": "message_received"}
    return msgspec.json.encode({**event, **attributes, "data": HI})
