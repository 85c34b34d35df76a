"""`plugins backtest` and the agreement of `plugins show`: what is compared, counted and said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from rich.console import Console

from hookbus import subjects
from hookbus.cli.backtest.compare import KINDS, compare
from hookbus.cli.backtest.heard import Answers
from hookbus.cli.backtest.tally import Difference, Tally
from hookbus.cli.backtest.trial import Trial, trial_of
from hookbus.cli.backtest.view import MAX_SHOWN, show
from hookbus.cli.errors import UsageError
from hookbus.cli.plugins.agreement import LONGEST_AGO, agreement_of, count
from hookbus.decision_log.reader import Stored
from hookbus.errors import Unavailable
from hookbus.models import EventRef, PluginRecord
from tests.unit.decision_samples import FakeReader, decision, record, seconds

CONTINUES: dict[str, Any] = {"verdict": "continue"}
BLOCKS: dict[str, Any] = {"verdict": "block", "code": "bad", "reason": "no"}
CHANGES: dict[str, Any] = {"verdict": "intercept", "pointers": ("/text",), "patch_hash": "aa"}
FAILS: dict[str, Any] = {"failure": "timeout", "reason": "no answer"}
SPARED: dict[str, Any] = {"attempt": 0, "notes": ({"kind": "condition_false", "index": 0},)}
EFFECTS: dict[str, Any] = {"attempt": 0, "notes": ({"kind": "dry_run_unsupported"},)}
RESTS: dict[str, Any] = {**FAILS, "failure": "breaker_open", "notes": ({"kind": "breaker_open"},)}
EVIL = "\x1b[31mred"


def said(**members: Any) -> PluginRecord:
    return record("guard", **members)


@pytest.mark.parametrize(
    ("incumbent", "candidate", "kind"),
    [
        (CONTINUES, CONTINUES, "same"),
        (BLOCKS, BLOCKS, "same"),
        (CHANGES, {**CHANGES, "mutated": True, "ms": 9.0}, "same"),
        (CONTINUES, BLOCKS, "verdict"),
        (CHANGES, CONTINUES, "verdict"),
        (CHANGES, {**CHANGES, "patch_hash": "bb"}, "patch"),
        (BLOCKS, {**BLOCKS, "code": "worse"}, "reason"),
        (BLOCKS, {**BLOCKS, "reason": "never"}, "reason"),
        (CONTINUES, FAILS, "failure"),
        (FAILS, FAILS, "failure"),
        (FAILS, BLOCKS, "incumbent_failure"),
        # an Intercept that changes nothing lets pass, and so does who is spared by a condition
        (CONTINUES, {"verdict": "intercept"}, "same"),
        (SPARED, CONTINUES, "same"),
        (SPARED, BLOCKS, "verdict"),
        (CHANGES, SPARED, "verdict"),
    ],
)
def test_a_difference_has_one_kind(
    incumbent: dict[str, Any], candidate: dict[str, Any], kind: str
) -> None:
    assert compare(said(**incumbent), said(**candidate)) == (kind, "")


@pytest.mark.parametrize(
    ("incumbent", "candidate", "why"),
    [
        (CONTINUES, EFFECTS, "next: it has side effects"),
        (EFFECTS, CONTINUES, "guard: it has side effects"),
        (CONTINUES, RESTS, "next: its breaker was open"),
        (SPARED, SPARED, "the conditions of both spare it"),
        ({**FAILS, "attempt": 0}, CONTINUES, "guard: the event's time was over"),
    ],
)
def test_who_was_not_asked_is_not_compared_and_it_is_said_why(
    incumbent: dict[str, Any], candidate: dict[str, Any], why: str
) -> None:
    kind, reason = compare(said(**incumbent), record("next", **candidate))

    assert kind is None
    assert reason.startswith(why)


def hook(name: str = "h", **members: Any) -> dict[str, Any]:
    given = {"name": name, "version": "1.0.0", "type": "tool_invoked", "phase": "mutate"}
    return {**given, "mode": "enforce", "origins": {}, **members}


def listed(
    hooks: list[dict[str, Any]], beside: list[dict[str, Any]], **members: Any
) -> dict[str, Any]:
    alike = {"state": "bound", "problem": None, "replicas": [{}], "candidate_of": None}
    guard = {**alike, "plugin": "guard", "hooks": beside}
    next_ = {**alike, "plugin": "next", "hooks": hooks, "candidate_of": "guard", **members}
    return {"plugins": [guard, next_]}


SHADOW = hook(mode="shadow")


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        ({"plugins": []}, UsageError, "is not known here; known are: none"),
        (listed([SHADOW], [hook()], state="pending", problem="it waits"), UsageError, "it waits"),
        (listed([SHADOW], [hook()], candidate_of=None), UsageError, "announces no candidate_of"),
        (listed([SHADOW], [hook()], candidate_of="gone"), UsageError, "gone is not known here"),
        (listed([hook()], [hook()]), UsageError, "'hookbus plugins mode next shadow'"),
        (listed([SHADOW], [hook(phase="validate")]), UsageError, "in the same phase"),
        (listed([SHADOW], [hook(mode="off")]), UsageError, "that is asked"),
        (listed([SHADOW], [hook()], replicas=[]), Unavailable, "next is bound, but nothing"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_asked(
    found: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        trial_of(found, "next")


def test_hooks_are_compared_with_those_of_their_name_where_both_ask_for_the_type() -> None:
    mine = [hook("a", mode="shadow"), hook("b", mode="shadow", type="chat.*")]
    theirs = [hook("x"), hook("a", priority=900), hook("b", type="chat.sent")]

    found = trial_of(listed(mine, theirs), "next")

    def names(event_type: str) -> list[tuple[str, str]]:
        return [(p.incumbent.hook, p.candidate.hook) for p in found.pairs(event_type)]

    assert names("tool_invoked") == [("a", "a")]
    assert names("chat.sent") == [("b", "b")]
    assert names("chat.left") == []
    assert (found.is_about("chat.left"), found.is_about("other")) == (True, False)


def test_nothing_more_is_waited_for_where_the_incumbent_was_not_reached() -> None:
    pairs = trial_of(listed([SHADOW], [hook()]), "next").pairs("tool_invoked")
    reached = decision(records=(record("guard", hook="h", **CONTINUES),))
    shadows = {("next", "h"): record("next", hook="h", **CONTINUES)}

    assert not Answers().has_all(pairs)
    assert Answers(decision(outcome="block")).has_all(pairs)
    assert not Answers(reached).has_all(pairs)
    assert Answers(reached, shadows).has_all(pairs)


def test_a_later_round_is_not_what_the_candidate_saw() -> None:
    [pair] = trial_of(listed([SHADOW], [hook()]), "next").pairs("tool_invoked")
    rounds = [record("guard", hook="h", round=n, **CONTINUES) for n in (1, 2)]

    assert Answers(decision(records=tuple(rounds))).incumbent(pair) == rounds[0]


def difference(**members: Any) -> Difference:
    event = EventRef(EVIL, EVIL, "tool_invoked")
    return Difference(
        kind="verdict",
        event=event,
        decision="d",
        asked_again="e",
        incumbent=said(**CONTINUES),
        candidate=said(**{**BLOCKS, "reason": EVIL, "code": EVIL, **members}),
    )


def shown(tally: Tally) -> str:
    console = Console(width=80, record=True, force_terminal=False)
    with console.capture() as captured:
        show(Trial("next", "guard", (), ()), tally, console)
    return captured.get()


def test_people_see_counts_and_the_first_differences_within_80_columns() -> None:
    tally = Tally(inputs=145, masked=3, left_out=True, is_interrupted=True, seconds=1.0)
    tally.differences = [difference()] * (MAX_SHOWN + 120)
    tally.kinds.update(verdict=140, same=1)
    tally.not_asked[f"{EVIL} blocked it before"] = 4

    text = shown(tally)

    assert "… and 120 more; --json has all" in text
    assert text.count("block (") == MAX_SHOWN
    assert "of 3 inputs the secret fields were masked" in " ".join(text.split())
    assert "--limit 0" in text
    assert "145 inputs asked again in 1.0 s, interrupted" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("kinds", "differences", "code"),
    [({"same": 2}, [], 0), ({"same": 2, "patch": 1}, [difference()], 1), ({}, [], 5)],
)
def test_the_exit_code_says_whether_anything_differs_or_was_asked(
    kinds: dict[Any, int], differences: list[Difference], code: int
) -> None:
    tally = Tally(inputs=3, differences=differences)
    tally.kinds.update(kinds)

    assert tally.exit_code == code
    assert set(msgspec.to_builtins(tally.to_json())["kinds"]) == set(KINDS)


def test_a_shadow_hook_is_counted_by_what_it_would_have_changed() -> None:
    passed, blocked = decision(), decision(outcome="block")

    found = count(
        [
            (passed, said(**CONTINUES)),
            (passed, said(**BLOCKS)),
            (passed, said(**CHANGES)),
            (passed, said(**FAILS)),
            (blocked, said(**BLOCKS)),
            (blocked, said(**CHANGES)),
        ],
        None,
    )

    assert (found.records, found.unchanged) == (6, 3)
    assert (found.would_block, found.would_change, found.failed) == (1, 1, 1)
    assert found.kinds == {}


def test_a_candidate_is_counted_by_how_it_compares_with_its_incumbent() -> None:
    both = decision(records=(record("guard", hook="x", **BLOCKS), record("guard", **CONTINUES)))
    unreached = decision(outcome="block")

    next_ = [record("next", **said) for said in (CONTINUES, BLOCKS)]
    found = count([(both, next_[0]), (both, next_[1]), (unreached, next_[0])], "guard")

    assert found.kinds == {"same": 1, "verdict": 1, "not_asked": 1}


def test_shadow_records_are_joined_to_their_decisions_of_the_last_hour() -> None:
    """Neither dry runs nor others' records count, nor what happened before."""
    now = datetime.now(UTC)
    made = [decision("old"), decision("d1"), decision("dry", dry_run=True), decision("d3")]
    reader = FakeReader(made, [now - LONGEST_AGO - seconds(60), now, now, now])
    for name, about in [("next", "old"), ("next", "d1"), ("next", "dry"), ("other", "d3")]:
        body = {"decision": about, "event": made[0].event, "record": record(name, **BLOCKS)}
        subject = subjects.decision("shadow", "tool_invoked")
        number, at = len(reader.stored) + 1, reader.stored[-1].stored_ns
        reader.stored.append(Stored(number, at, subject, msgspec.json.encode(body)))

    found = asyncio.run(agreement_of(reader, "next", None))

    assert (found.records, found.would_block) == (1, 1)
