"""Replies that are late, doubled, spoofed or for nobody (R13, R19, and R22's reply subjects)."""

from __future__ import annotations

import msgspec

from hookbus import subjects
from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, ECHO, Reply, Scripted, says, sends


async def test_the_first_valid_reply_wins_and_the_second_is_a_duplicate(bus: Bus) -> None:
    twice = (CONTINUE, says("block", reason="too late").at(0.01))
    await bus.start(Scripted("a", twice))

    decision = await bus.emit()
    await bus.until(lambda: bus.counters["duplicate_responder"] > 0)

    assert decision.outcome == "continue"
    assert bus.counters["duplicate_responder"] == 1


async def test_of_two_instances_in_different_queue_groups_the_faster_one_counts(bus: Bus) -> None:
    slow = Scripted("a", CONTINUE.at(0.05))
    fast = Scripted("a", says("block", reason="fast").at(0.01))
    await bus.start(slow)
    await fast.listen(await bus.connect("a"), queue="wrong")

    decision = await bus.emit()
    await bus.until(lambda: bus.counters["duplicate_responder"] > 0)

    assert decision.reason == "a: fast"
    assert len(slow.calls) == len(fast.calls) == 1


async def test_two_plugins_with_the_same_queue_group_are_both_asked(bus: Bus) -> None:
    one, other = Scripted("a"), Scripted("b")
    await bus.start()
    for plugin in (one, other):
        await plugin.listen(await bus.connect(plugin.name), queue="q")
        await plugin.announce()
    await bus.served()

    await bus.emit()

    assert len(one.calls) == len(other.calls) == 1


async def test_replicas_of_one_plugin_share_its_calls(bus: Bus) -> None:
    replicas = [Scripted("a"), Scripted("a")]
    await bus.start()
    for replica in replicas:
        await bus.add(replica)

    for _ in range(10):
        await bus.emit()

    assert sum(len(replica.calls) for replica in replicas) == 10


async def test_a_reply_that_names_another_plugin_is_dropped_as_spoofed(bus: Bus) -> None:
    spoofed_first = (says("continue", plugin="b"), says("block", reason="mine").at(0.01))
    await bus.start(Scripted("a", spoofed_first))

    decision = await bus.emit()

    assert decision.reason == "a: mine"
    assert bus.counters["spoofed_reply"] == 1


async def test_a_reply_on_another_plugins_subject_is_dropped_as_spoofed(bus: Bus) -> None:
    on_another = Reply({"verdict": "continue"}, speaker="b")
    await bus.start(Scripted("a", (on_another, says("block", reason="mine").at(0.01))))

    decision = await bus.emit()

    assert decision.reason == "a: mine"
    assert bus.counters["spoofed_reply"] == 1


async def test_when_only_a_spoofed_reply_came_it_is_as_if_nothing_had_come(bus: Bus) -> None:
    await bus.start(Scripted("a", says("continue", plugin="b"), timeout_ms=60))

    decision = await bus.emit()

    assert (decision.outcome, decision.code) == ("block", "timeout")


async def test_a_reply_to_an_earlier_attempt_is_dropped_as_late(bus: Bus) -> None:
    earlier = (says("continue", attempt=0), says("block", reason="now").at(0.01))
    await bus.start(Scripted("a", earlier))

    decision = await bus.emit()

    assert decision.reason == "a: now"
    assert bus.counters["late_reply"] == 1


async def test_a_reply_to_a_call_that_never_was_is_unmatched(bus: Bus) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    await bus.emit()
    prefix = plugin.reply_subjects[0].rsplit(".", 2)[0]

    await bus.transport.publish(f"{prefix}.{'x' * 22}.a", b"{}")
    await bus.until(lambda: bus.counters["unmatched_reply"] > 0)

    assert bus.counters["unmatched_reply"] == 1


async def test_a_reply_long_after_its_call_is_unmatched(memory_bus: Bus) -> None:
    plugin = Scripted("a", CONTINUE.at(11.0), CONTINUE, timeout_ms=100)
    await memory_bus.start(plugin)
    await memory_bus.emit()

    await memory_bus.until(lambda: memory_bus.now() > 10.5)
    await memory_bus.emit()  # forgetting happens when the next call is finished
    await memory_bus.until(lambda: memory_bus.now() > 12.0)

    assert memory_bus.counters["unmatched_reply"] == 1
    assert memory_bus.counters["late_reply"] == 0


async def test_a_message_with_another_status_than_503_is_dropped_and_counted(bus: Bus) -> None:
    status = sends(b"", headers={"Status": "409", "Description": "Consumer Deleted"})
    await bus.start(Scripted("a", (status, says("block", reason="mine").at(0.01))))

    decision = await bus.emit()

    assert decision.reason == "a: mine"
    assert bus.counters["status_reply"] == 1


async def test_a_503_with_a_body_is_no_sign_of_an_absent_plugin(bus: Bus) -> None:
    status = sends(b"{}", headers={"Status": "503"})
    await bus.start(Scripted("a", (status, says("block", reason="mine").at(0.01))))

    decision = await bus.emit()

    assert decision.reason == "a: mine"


async def test_after_one_timeout_the_next_hundred_verdicts_are_the_right_ones(bus: Bus) -> None:
    answers = [says("block", reason=f"number {n}") for n in range(100)]
    await bus.start(Scripted("a", says("block", reason="late").at(0.52), *answers, timeout_ms=500))
    late = await bus.emit()

    reasons = [(await bus.emit()).reason for _ in range(100)]

    assert late.code == "timeout"
    assert reasons == [f"a: number {n}" for n in range(100)]


async def test_a_hundred_events_at_once_get_each_its_own_verdict(bus: Bus) -> None:
    texts = [f"text {n}" for n in range(100)]
    # who was asked first answers last
    plugin = Scripted("a", *[ECHO.at(0.04 - n * 0.0003) for n in range(100)])
    await bus.start(plugin)

    decisions = await bus.together(bus.emit({"text": text}) for text in texts)

    assert [d.reason for d in decisions] == [f"a: {text}" for text in texts]


async def test_an_emitter_that_gives_up_disturbs_nobody_elses_verdict(bus: Bus) -> None:
    await bus.start(Scripted("a", says("block", reason="first").at(0.05), CONTINUE))
    given_up = bus.begin(bus.emit())
    await bus.until(lambda: bus.dispatcher.ingress.in_flight == 1)

    given_up.cancel()
    decisions = [await bus.emit() for _ in range(20)]

    assert [d.outcome for d in decisions] == ["continue"] * 20


async def test_an_emit_whose_reply_would_not_go_to_an_inbox_is_dropped_and_counted(
    bus: Bus,
) -> None:
    plugin = Scripted("a")
    await bus.start(plugin)
    heard: list[bytes] = []
    await bus.transport.subscribe("hookbus.ctl.>", lambda m: heard.append(m.data))
    await bus.transport.flush()
    event = {"specversion": "1.0", "id": "1", "source": "/t", "type": "message_received"}
    body = msgspec.json.encode({**event, "data": HI})

    emit = subjects.emit("anonymous", "message_received")
    await bus.transport.publish(emit, body, reply="hookbus.ctl.ops.remove")
    await bus.transport.publish(emit, body)
    await bus.until(lambda: bus.counters["no_reply_subject"] == 2)

    assert plugin.calls == []
    assert heard == []
    assert bus.counters["decisions"] == 0


async def test_a_call_id_is_fresh_for_every_plugin_and_event(bus: Bus) -> None:
    one, other = Scripted("a"), Scripted("b")
    await bus.start(one, other)

    for _ in range(5):
        await bus.emit()

    ids = [call["call"] for plugin in (one, other) for call in plugin.calls]
    assert len(set(ids)) == 10
