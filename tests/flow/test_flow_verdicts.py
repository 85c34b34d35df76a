"""From verdicts to one decision: phases, order, Blocks (R1 to R5, R9)."""

from __future__ import annotations

from tests.flow.bus import HI, Bus
from tests.flow.scripted import CONTINUE, SILENCE, Reply, Scripted, says


async def test_without_plugins_the_decision_is_continue_with_the_emitters_own_data(
    bus: Bus,
) -> None:
    await bus.start()

    decision = await bus.emit(HI)

    assert decision.outcome == "continue"
    assert decision.data is HI
    assert decision.records == ()


async def test_a_plugin_that_continues_is_asked_and_recorded(bus: Bus) -> None:
    plugin = Scripted("a", CONTINUE, version="1.2.3")
    await bus.start(plugin)

    decision = await bus.emit(HI)

    assert decision.outcome == "continue"
    assert [call["event"]["data"] for call in plugin.calls] == [HI]
    [record] = decision.records
    assert (record.plugin, record.hook, record.version) == ("a", "hook", "1.2.3")
    assert (record.verdict, record.resolution, record.attempt) == ("continue", "enforced", 1)


async def test_a_call_says_what_the_protocol_promises(bus: Bus) -> None:
    plugin = Scripted("a", phase="mutate", timeout_ms=300)
    await bus.start(plugin)

    decision = await bus.emit(HI)

    [call] = plugin.calls
    assert {k: v for k, v in call.items() if k not in ("call", "event")} == {
        "v": 1,
        "attempt": 1,
        "round": 1,
        "plugin": "a",
        "hook": "hook",
        "phase": "mutate",
        "timeout_ms": 300,
        "generation": decision.generation,
    }
    assert len(call["call"]) == 22
    assert call["event"]["id"] == decision.event.id
    assert call["event"]["specversion"] == "1.0"
    assert plugin.reply_subjects[0].split(".")[3:] == [call["call"], "a"]


async def test_a_block_names_its_plugin_and_keeps_the_reason_verbatim_in_the_record(
    bus: Bus,
) -> None:
    blocks = says("block", reason="you shall not pass", code="gate", message="Please turn back.")
    await bus.start(Scripted("a", blocks))

    decision = await bus.emit()

    assert decision.outcome == "block"
    assert (decision.cause, decision.code, decision.by) == ("verdict", "gate", "a")
    assert decision.reason == "a: you shall not pass"
    assert decision.message == "Please turn back."
    assert decision.data is None
    assert decision.records[0].reason == "you shall not pass"


async def test_a_block_without_a_reason_still_blocks_and_gets_one(bus: Bus) -> None:
    await bus.start(Scripted("a", says("block", reason="")))

    decision = await bus.emit()

    assert decision.outcome == "block"
    assert decision.reason == "a: blocked without explanation"


async def test_a_later_continue_does_not_overwrite_an_earlier_block(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("block", reason="no"), priority=10),
        Scripted("b", CONTINUE.at(0.02), priority=20),
    )

    decision = await bus.emit()

    assert (decision.outcome, decision.by) == ("block", "a")


async def test_validate_hears_every_plugin_out_after_the_first_block(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("block", reason="no").at(0.005)),
        Scripted("b", CONTINUE.at(0.06)),
    )

    decision, seconds = await bus.timed(bus.emit())

    assert decision.outcome == "block"
    assert [r.verdict for r in decision.records] == ["block", "continue"]
    assert seconds == bus.about(0.06)


async def test_validate_plugins_are_asked_all_at_once_about_the_same_payload(bus: Bus) -> None:
    plugins = [Scripted(name, CONTINUE.at(0.2)) for name in ("a", "b", "c")]
    await bus.start(*plugins)

    decision, seconds = await bus.timed(bus.emit(timeout=3.0))

    assert decision.outcome == "continue"
    assert [p.calls[0]["event"] for p in plugins] == [plugins[0].calls[0]["event"]] * 3
    assert seconds == bus.about(0.2)


async def test_the_primary_block_is_by_order_and_never_by_arrival(bus: Bus) -> None:
    await bus.start(
        Scripted("c", says("block", reason="fast"), priority=30),
        Scripted("a", says("block", reason="slow").at(0.05), priority=10),
        Scripted("b", says("block", reason="middle").at(0.02), priority=20),
    )

    decision = await bus.emit()

    assert decision.reason == "a: slow"
    assert [(o.by, o.cause, o.reason) for o in decision.others] == [
        ("b", "verdict", "b: middle"),
        ("c", "verdict", "c: fast"),
    ]


async def test_a_block_verdict_comes_before_a_failure_that_stands_earlier_in_the_order(
    bus: Bus,
) -> None:
    await bus.start(
        Scripted("a", says("error", reason="broken"), priority=10),
        Scripted("b", says("block", reason="no"), priority=20),
    )

    decision = await bus.emit()

    assert (decision.by, decision.cause) == ("b", "verdict")
    assert [(o.by, o.cause, o.code) for o in decision.others] == [("a", "failure", "service_error")]


async def test_mutate_plugins_run_by_priority_and_each_sees_what_the_last_one_made(
    bus: Bus,
) -> None:
    last = Scripted("last", _adds("/c", 3), phase="mutate", priority=30)
    first = Scripted("first", _adds("/a", 1), phase="mutate", priority=10)
    middle = Scripted("middle", _adds("/b", 2), phase="mutate", priority=20)
    validator = Scripted("checks", priority=1)
    await bus.start(last, first, middle, validator)

    decision = await bus.emit(HI)

    assert first.calls[0]["event"]["data"] == HI
    assert middle.calls[0]["event"]["data"] == {"text": "hi", "a": 1}
    assert last.calls[0]["event"]["data"] == {"text": "hi", "a": 1, "b": 2}
    assert validator.calls[0]["event"]["data"] == {"text": "hi", "a": 1, "b": 2, "c": 3}
    assert decision.outcome == "intercept"
    assert decision.data == {"text": "hi", "a": 1, "b": 2, "c": 3}
    assert [r.plugin for r in decision.records] == ["first", "middle", "last", "checks"]


async def test_equal_priorities_run_in_the_order_of_the_plugin_names(bus: Bus) -> None:
    await bus.start(
        Scripted("b", _adds("/b", 1), phase="mutate"),
        Scripted("a", _adds("/a", 1), phase="mutate"),
    )

    decision = await bus.emit()

    assert [r.plugin for r in decision.records] == ["a", "b"]


async def test_a_mutate_plugin_is_asked_only_after_the_one_before_has_answered(bus: Bus) -> None:
    slow = Scripted("a", _adds("/a", 1).at(0.09), phase="mutate", priority=10)
    quick = Scripted("b", CONTINUE, phase="mutate", priority=20)
    await bus.start(slow, quick)

    decision, seconds = await bus.timed(bus.emit())

    assert quick.calls[0]["event"]["data"] == {"text": "hi", "a": 1}
    assert decision.outcome == "intercept"
    assert seconds == bus.about(0.09)


async def test_a_block_in_mutate_ends_the_decision_and_leaks_no_half_applied_change(
    bus: Bus,
) -> None:
    later, validator = Scripted("c", phase="mutate", priority=30), Scripted("d")
    await bus.start(
        Scripted("a", _adds("/a", 1), phase="mutate", priority=10),
        Scripted("b", says("block", reason="no"), phase="mutate", priority=20),
        later,
        validator,
    )

    decision = await bus.emit()

    assert (decision.outcome, decision.by) == ("block", "b")
    assert decision.data is None
    assert later.calls == validator.calls == []
    assert [r.plugin for r in decision.records] == ["a", "b"]


async def test_a_closed_failure_in_mutate_ends_the_decision_too(bus: Bus) -> None:
    later, validator = Scripted("b", phase="mutate", priority=20), Scripted("c")
    await bus.start(
        Scripted("a", says("error"), phase="mutate", priority=10, on_failure="closed"),
        later,
        validator,
    )

    decision = await bus.emit()

    assert (decision.outcome, decision.cause, decision.by) == ("block", "failure", "a")
    assert later.calls == validator.calls == []


async def test_a_block_in_mutate_ends_the_decision_before_the_schema_check(
    bus: Bus,
) -> None:
    breaks = says("intercept", patch=[{"op": "remove", "path": "/text"}])
    await bus.start(
        Scripted("a", breaks, phase="mutate", priority=10),
        Scripted("b", says("block", reason="no"), phase="mutate", priority=20),
    )

    decision = await bus.emit()

    assert decision.by == "b"
    assert decision.others == ()


async def test_an_open_plugin_that_blocks_still_blocks(bus: Bus) -> None:
    await bus.start(Scripted("a", says("block", reason="x"), on_failure="open"))

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "verdict")
    assert not decision.degraded


async def test_block_wins_over_a_change_in_the_same_reply(bus: Bus) -> None:
    both = says("block", reason="no", patch=[{"op": "add", "path": "/x", "value": 1}])
    await bus.start(Scripted("a", both, phase="mutate"))

    decision = await bus.emit()

    assert (decision.outcome, decision.reason) == ("block", "a: no")


async def test_a_block_whose_details_are_nonsense_is_still_a_block(bus: Bus) -> None:
    await bus.start(
        Scripted("a", says("block", reason=5, code=["x"], message={}), on_failure="open")
    )

    decision = await bus.emit()

    assert (decision.outcome, decision.cause) == ("block", "verdict")


async def test_an_intercept_that_changes_nothing_is_a_continue(bus: Bus) -> None:
    same_text = says("intercept", patch=[{"op": "replace", "path": "/text", "value": "hi"}])
    await bus.start(
        Scripted("a", says("intercept", patch=[]), phase="mutate"),
        Scripted("b", same_text, phase="mutate"),
        Scripted("c", says("intercept", merge={"text": "hi"}), phase="mutate"),
        Scripted("d", says("intercept", data={"text": "hi"}), phase="mutate"),
    )

    decision = await bus.emit(HI)

    assert decision.outcome == "continue"
    assert decision.data is HI
    assert [r.mutated for r in decision.records] == [False] * 4


async def test_changes_that_cancel_out_are_a_continue(bus: Bus) -> None:
    there = says("intercept", patch=[{"op": "add", "path": "/x", "value": 1}])
    back = says("intercept", patch=[{"op": "remove", "path": "/x"}])
    await bus.start(
        Scripted("a", there, phase="mutate"),
        Scripted("b", back, phase="mutate"),
    )

    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert [r.mutated for r in decision.records] == [True, True]


async def test_warnings_name_their_plugin_and_annotations_are_recorded(bus: Bus) -> None:
    talks = says("continue", warnings=["deprecated"], annotations={"score": "0.1"})
    await bus.start(Scripted("a", talks))

    decision = await bus.emit()

    assert decision.warnings == ("a: deprecated",)
    assert decision.records[0].annotations == {"score": "0.1"}


async def test_one_plugin_may_ask_twice_about_one_type(bus: Bus) -> None:
    plugin = Scripted("a", CONTINUE)
    other_hook = Scripted("a", says("block", reason="no"))
    other_hook.hook["name"] = "other"
    await bus.start()
    await other_hook.listen(await bus.connect("a"))
    await plugin.listen(await bus.connect("a"))
    await plugin.announce(hooks=[plugin.hook, other_hook.hook])
    await bus.served()

    decision = await bus.emit()

    assert [(r.hook, r.verdict) for r in decision.records] == [
        ("hook", "continue"),
        ("other", "block"),
    ]


async def test_a_hook_on_a_pattern_is_asked_about_every_type_that_matches(bus: Bus) -> None:
    everything = Scripted("a", type=">")
    tools_only = Scripted("b", SILENCE, type="tool_invoked")
    await bus.start(everything, tools_only)

    decision = await bus.emit(HI)

    assert [r.plugin for r in decision.records] == ["a"]
    assert tools_only.calls == []


async def test_a_hook_that_is_off_is_not_asked(bus: Bus) -> None:
    plugin = Scripted("a", says("block", reason="no"), mode="off")
    await bus.start(plugin)

    decision = await bus.emit()

    assert decision.outcome == "continue"
    assert plugin.calls == []


def _adds(path: str, value: int) -> Reply:
    return says("intercept", patch=[{"op": "add", "path": path, "value": value}])
