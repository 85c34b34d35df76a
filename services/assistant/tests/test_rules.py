"""Which tools a text asks for."""

from __future__ import annotations

from typing import Any

import pytest

from services.assistant.rules import phrase, plan

CALLS: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
    ("hello", []),
    ("I read a book", []),
    ("list", [("list_files", {"path": "."})]),
    ("List prices", [("list_files", {"path": "prices"})]),
    ("read notes.txt", [("read_file", {"path": "notes.txt"})]),
    ("what is 2 + 2?", [("calculator", {"expression": "2 + 2"})]),
    (
        "list, then read notes.txt then calculate 1 + 1",
        [
            ("list_files", {"path": "."}),
            ("read_file", {"path": "notes.txt"}),
            ("calculator", {"expression": "1 + 1"}),
        ],
    ),
]


@pytest.mark.parametrize(("text", "calls"), CALLS)
def test_a_text_asks_for_these_calls(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert [(call.name, call.args) for call in plan(text)] == calls


def test_a_text_asks_for_so_many_calls_at_most() -> None:
    assert len(plan("\n".join(["list"] * 1000))) == 5


def test_an_answer_is_what_the_tools_said_or_an_echo() -> None:
    assert phrase("x", ["one", "two"]) == "one\n\ntwo"
    assert phrase("x", [""]) == ""
    assert phrase("x", []).startswith("You said: x\n")
