"""One decision explained: what happened when, who counts, what changed since, what to do."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from hookbus.cli.decisions.explain_view import render
from hookbus.cli.decisions.generations import Change, Generation, Generations, generations_from
from hookbus.cli.decisions.next_steps import next_steps
from hookbus.cli.decisions.record_words import note_in_words, said
from hookbus.cli.decisions.rows import Rows
from hookbus.cli.decisions.time_line import bars, drawn, total_ms
from hookbus.decision_log.records import short_id
from hookbus.models import Decision, EventRef, OtherBlock
from tests.unit.decision_samples import NOON, decision, record, recorded, seconds, uuid7_at

ID = uuid7_at(NOON, 0x54A0)
MADE_BY_SETTINGS = Generation(
    12, "2026-11-21T10:00:00Z", "ops", "settings apply", (Change("plugins.guard.hooks.h.mode"),)
)
BEFORE = Generation(9, "2026-11-21T09:00:00Z", "ops", "settings apply")
KNOWN = Generations((MADE_BY_SETTINGS, BEFORE))
BLOCK: dict[str, Any] = {
    "outcome": "block",
    "cause": "verdict",
    "code": "dangerous",
    "by": "guard",
    "reason": "guard: rm -rf",
}


def text(made: Decision, *beside: Any, generations: Generations = KNOWN, **options: Any) -> str:
    console = Console(width=80, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        steps = next_steps(made, generations)
        console.print(render(recorded(made), beside, generations, steps, **options))
    return capture.get()


def test_mutating_plugins_stand_one_after_another_and_validating_ones_below_each_other() -> None:
    records = (
        record("a", phase="mutate", ms=10.0),
        record("b", phase="mutate", ms=30.0),
        record("c", ms=20.0),
        record("d", ms=60.0),
    )

    placed = bars(records)

    assert [(bar.start, bar.ms) for bar in placed] == [(0, 10), (10, 30), (40, 20), (40, 60)]
    assert total_ms(placed) == 100
    assert [drawn(bar, 100, 10) for bar in placed] == [
        "█         ",
        " ███      ",
        "    ██    ",
        "    ██████",
    ]


def test_who_was_not_asked_is_a_dot_and_who_answered_beside_takes_no_time() -> None:
    placed = bars((record("a", attempt=0), record("b", ms=10.0)), (record("s", ms=90.0),))

    assert total_ms(placed) == 10
    assert [drawn(bar, 10, 4) for bar in placed] == ["·   ", "████", "░░░░"]


def test_a_call_of_no_time_is_seen() -> None:
    placed = bars((record("a", ms=0.0),))

    assert drawn(placed[0], total_ms(placed), 5) == "█    "


def test_everything_that_is_known_is_shown_in_80_columns() -> None:
    made = decision(
        ID,
        **BLOCK,
        message="Please do not.",
        others=(OtherBlock(by="limits", cause="failure", code="timeout", reason="limits: late"),),
        warnings=("w: careful",),
        conflicts=({"path": "/a", "winner": "x", "loser": "y"},),
        masked=("/user/email",),
        degraded=True,
        dry_run=True,
        principal="chat",
        trace_id="4bf9",
        records=(
            record("redact", phase="mutate", verdict="intercept", mutated=True, pointers=("/a",)),
            record("guard", verdict="block", reason="rm -rf", code="dangerous", ms=3.25),
            record("limits", failure="timeout", resolution="failed_closed", attempt=2),
            record("c", attempt=0, resolution="skipped", notes=({"kind": "self"},)),
            record("long-name-" * 6, annotations={"key": "value " * 40}),
        ),
    )

    shown = text(made, record("beside", mode="shadow", verdict="block", resolution="discarded"))

    assert max(map(len, shown.splitlines())) <= 80
    for part in (
        ID,
        "e1 from /agent",
        "chat",
        "4bf9",
        "guard: verdict (dangerous)",
        "Please do not.",
        "failure (timeout): limits: late",
        "w: careful",
        "/a: x wrote over what y had written",
        "/user/email (secret: not recorded)",
        "/a by redact",
        "failed: timeout",
        "attempt 2",
        "not asked: the event is its own",
        "mode shadow: nobody waited for it",
        "generation 12: settings apply by ops",
        "nothing has changed since",
    ):
        assert part in shown


def test_foreign_text_moves_no_cursor() -> None:
    evil = "\x1b[2Jgone\u202e[red]"
    made = decision(
        evil,
        **{**BLOCK, "by": evil, "reason": evil, "code": evil},
        message=evil,
        event=EventRef(evil, evil, evil),
        warnings=(evil,),
        records=(record(evil, reason=evil, notes=({"kind": evil},), annotations={evil: evil}),),
    )
    history = Generations(
        (Generation(20, evil, evil, evil, (Change(f"plugins.{evil}", evil, 1),)),)
    )

    shown = text(made, generations=history) + text(made, others=[("trace", recorded(made))])

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown


def test_what_changed_since_is_listed_newest_first() -> None:
    newer = Generation(
        13, "at", "ada", "plugins mode guard off", (Change("plugins.guard.m", 1, 2),)
    )
    shown = text(decision(ID, **BLOCK), generations=Generations((newer, *KNOWN.history)))

    assert "13: plugins mode guard off by ada at at" in shown
    assert "plugins.guard.m: 1 → 2" in shown
    assert "has been changed since" in shown
    assert "rollback" not in shown


def test_an_unknown_history_is_said_to_be_unknown() -> None:
    shown = text(decision(ID, **BLOCK), generations=Generations(problem="no registry answers"))

    assert "what changed since is not known: no registry answers" in shown


@pytest.mark.parametrize("answer", [{}, {"history": 5}, {"history": [{"generation": "x"}]}])
def test_a_history_of_another_shape_is_no_crash(answer: dict[str, Any]) -> None:
    assert generations_from(answer).problem is not None


def test_a_block_by_settings_says_which_rollback_takes_them_back() -> None:
    steps = " ".join(next_steps(decision(ID, **BLOCK), KNOWN))

    assert "'hookbus plugins show guard'" in steps
    assert "'hookbus settings rollback 9'" in steps


def test_a_block_by_an_override_says_how_that_ends() -> None:
    mode = Generation(12, what="plugins mode guard/h enforce", changes=MADE_BY_SETTINGS.changes)
    steps = " ".join(next_steps(decision(ID, **BLOCK), Generations((mode, BEFORE))))

    assert "'hookbus plugins mode guard --hook h --reset' takes that back" in steps
    assert "rollback" not in steps


def test_when_all_is_well_there_is_nothing_to_do() -> None:
    assert next_steps(decision(ID), KNOWN) == []


def test_a_failure_that_was_let_pass_is_something_to_look_at() -> None:
    made = decision(ID, degraded=True, records=(record("g", resolution="failed_open"),))

    assert next_steps(made, KNOWN) == [
        "g failed and was let pass: 'hookbus plugins show g' says how it is"
    ]


@pytest.mark.parametrize(
    ("cause", "code", "by", "said"),
    [
        ("verdict", "write_conflict", "g", "rewrites"),
        ("verdict", "not_converged", None, "on_not_converged"),
        ("failure", "no_responders", "g", "start g again"),
        ("failure", "malformed", "g", "'hookbus conformance plugin g'"),
        ("failure", "schema", "g", "its type's schema"),
        ("deadline", "timeout", "g", "hbtimeoutms"),
        ("limit", "overloaded", None, "'hookbus top'"),
        ("config", "not_ready", None, "registry"),
        ("config", "id_reuse", None, "id of its own"),
        ("loop", "max_depth", None, "chain"),
        ("audit", "audit_unavailable", None, "disk"),
        ("new cause", "new code", None, "'hookbus settings history'"),
    ],
)
def test_every_cause_of_a_block_has_a_next_step(
    cause: str, code: str, by: str | None, said: str
) -> None:
    made = decision(ID, outcome="block", cause=cause, code=code, by=by)

    assert said in " ".join(next_steps(made, Generations()))


def test_notes_are_sentences_and_unknown_ones_are_shown_as_they_are() -> None:
    assert note_in_words({"kind": "condition_false", "condition": "a > 1"}) == (
        "not asked: a > 1 is false"
    )
    assert note_in_words({"kind": "new", "x": 1}) == '{"kind":"new","x":1}'


def test_an_intercept_that_changed_nothing_is_told_apart() -> None:
    assert said(record(verdict="intercept")) == "intercept, which changed nothing"
    assert said(record(failure="timeout")) == "failed: timeout"
    assert said(record(verdict=None)) == "not asked"


def test_each_day_has_a_heading_and_each_decision_a_line() -> None:
    rows = Rows(80)
    days = (NOON, NOON + seconds(60), NOON + seconds(86_400))

    lines = [line.plain for day in days for line in rows.lines(recorded(decision(ID), day))]

    assert [line[:16] for line in lines] == [
        "time     outcome",
        "2026-11-21 (UTC)",
        "12:00:00 continu",
        "12:01:00 continu",
        "2026-11-22 (UTC)",
        "12:00:00 continu",
    ]


@pytest.mark.parametrize(("width", "shown"), [(80, short_id(ID)), (120, ID)])
def test_the_id_is_shown_whole_where_there_is_room(width: int, shown: str) -> None:
    made = decision(ID, **{**BLOCK, "reason": "寿司" * 99}, event=EventRef("e", "/" * 99, "t" * 63))

    [*_, line] = Rows(width).lines(recorded(made))

    assert line.plain.endswith(f" {shown}")
    assert line.cell_len == width
