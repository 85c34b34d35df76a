"""The calculator says what a text comes to, and nothing else, at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.assistant.tools import Tools, calculate

VALUES = [
    ("2 + 3 * 4", "14"),
    ("(2 + 3) * 4", "20"),
    (" -7 ", "-7"),
    ("0.1 + 0.2", "0.3"),
    ("1 / 8", "0.125"),
    ("2 ** 10", "1024"),
    ("2 ** -1", "0.5"),
    ("999999 * 999999", "999998000001"),
]
NO_ARITHMETIC = [
    "",
    "two",
    "2 +",
    "__import__('os').system('true')",
    "(1).__class__",
    "[1, 2]",
    "'a' * 9",
    "lambda: 1",
    "1 if 1 else 2",
    "1 == 1",
    "not 1",
    "~1",
    "1 << 99",
    "1j",
    "(-8) ** 0.5",
    "x := 1",
    "1\0",
    "9" * 5000,
    "1 / 0",
    "7 % 4",
    "9**9**9",
    "9**9**9**9**9",
    "(" * 4000,
    "-" * 4000 + "1",
    "+".join("1" * 2000),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_arithmetic_comes_to_its_value(text: str, value: str) -> None:
    assert calculate(text) == value


@pytest.mark.parametrize("text", NO_ARITHMETIC)
def test_with_what_is_no_arithmetic_the_tool_can_do_nothing(text: str, tmp_path: Path) -> None:
    said = asyncio.run(Tools(str(tmp_path)).run("calculator", {"expression": text}))

    assert said.startswith("calculator can do nothing with ")
