"""The table itself: all cases are in it, and what it says is looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.comparing import differences
from tests.conformance.notation import NotationError, read_part, read_turns
from tests.conformance.running import run_in_memory
from tests.conformance.table import TYPE, Case, Step, TableError, load_cases

SETTINGS: dict[str, Any] = {"types": {TYPE: {}}}
LETTERS = "A10 B6 C12 D14 E13 F5 G6 H8 I5 J3 K8 L4 M3"


def test_the_table_has_the_ninety_seven_cases_of_the_semantics() -> None:
    numbers = {case.number for case in load_cases() if not case.id.startswith("X")}

    assert len(numbers) == 97
    per_letter = [f"{letter}{sum(n[0] == letter for n in numbers)}" for letter in "ABCDEFGHIJKLM"]
    assert " ".join(per_letter) == LETTERS


def test_the_table_has_a_case_of_its_own_for_each_rule_that_the_dispatcher_keeps() -> None:
    numbers = (re.match(r"X-R(\d+)-", case.id) for case in load_cases())

    assert {int(match[1]) for match in numbers if match} >= {
        *range(1, 17),
        18,
        19,
        20,
        21,
        23,
        25,
        26,
        27,
        28,
        29,
        30,
    } - {17, 22, 24}


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"expect": "continue"}, "expect: expected 'continue', got 'block verdict by a'"),
        ({"records": []}, "records: expected [], got ['a block enforced']"),
        ({"reason": "a: n…t"}, "reason: expected 'a: n…t', got 'a: no'"),
    ],
)
def test_what_is_not_as_expected_is_told(expected: dict[str, object], told: str) -> None:
    block = 'a(v) -> block "no"'
    case = Case("X-R1-99", "", (block,), SETTINGS, (Step("emit", {}, expected),))

    assert told in run_in_memory(case).problems


def test_calls_that_did_not_come_are_told() -> None:
    case = Case("X-R1-99", "", (), SETTINGS, (Step("emit", {}, {}),), {"calls": "a"})

    assert run_in_memory(case).problems == ("calls: expected 'a', got ''",)


def test_a_true_is_not_a_one_where_values_are_compared() -> None:
    assert differences({"data": {"a": 1}}, {"data": {"a": True}}) != []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('[A01]\ntext = "x"\nexpects = "continue"', "unknown keys \\['expects'\\]"),
        ('[A01]\ntext = "x"', "expects nothing"),
        ('[Z]\ntext = "x"', "expected an id"),
        ('[A01]\ntext = "x"\nsteps = [{ jump = 1 }]', "expected one of"),
        ('[A01]\ntext = "x"\nexpect = "continue"\nsteps = []', "belong to a step"),
    ],
)
def test_a_case_that_says_what_nobody_looks_at_is_refused(
    entry: str, problem: str, tmp_path: Path
) -> None:
    table = tmp_path / "cases.toml"
    table.write_text(entry)

    with pytest.raises(TableError, match=problem):
        load_cases(table)


def test_a_part_is_read_with_its_options() -> None:
    part = read_part("a.first(m-5,100,open,warn,retry=2,writable=/x;/y,when=f(a, b) ; c)", 0, "t")

    assert (part.plugin, part.turns[0][0].reply.members) == ("a", {"verdict": "continue"})
    assert part.hook == {
        "name": "first",
        "type": "t",
        "phase": "mutate",
        "priority": -5,
        "timeout_ms": 100,
        "on_failure": "open",
        "mode": "warn",
        "retry": 2,
        "writable": ["/x", "/y"],
        "when": ["f(a, b)", "c"],
    }


def test_turns_are_read_with_their_messages_and_times() -> None:
    first, second, third = read_turns('extend 200@50 + block "no"@0.5 as b / silence / continue')

    assert [move.reply.after for move in first] == [0.05, 0.0005]
    assert first[0].reply.members == {"verdict": "extend", "extend_ms": 200}
    assert (first[1].reply.members["reason"], first[1].reply.speaker) == ("no", "b")
    assert second == ()
    assert third[0].reply.members == {"verdict": "continue"}


def test_a_script_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(NotationError, match="cannot read"):
        read_turns("continue, block")
