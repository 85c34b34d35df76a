"""docs/failure-modes.md: every row has a test that exists, and speaks the source's words."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "failure-modes.md"
HEAD = "| what fails | emitters see | operators see | what to do | shown by |"

_TEST: Final = re.compile(r"`(test_\w+)`")
_CASE: Final = re.compile(r"\b([A-Z]\d\d(?:-\w+)?)\b")
_QUOTED: Final = re.compile(r"`([^`]+)`")


@cache
def rows() -> list[list[str]]:
    """The cells of every row of every table."""
    lines = PAGE.read_text().splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] != "what fails"]


@cache
def known_tests() -> set[str]:
    files = ROOT.glob("tests/**/test_*.py")
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


@cache
def known_cases() -> set[str]:
    return set(tomllib.loads((ROOT / "tests" / "conformance" / "cases.toml").read_text()))


@cache
def source() -> str:
    return "\n".join(file.read_text() for file in ROOT.glob("hookbus/**/*.py"))


def test_every_table_of_the_page_has_the_five_columns() -> None:
    lines = PAGE.read_text().splitlines()

    assert lines.count(HEAD) == lines.count("|---|---|---|---|---|") == 7
    assert {len(row) for row in rows()} == {5}
    assert len(rows()) > 40


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_names_tests_that_exist(row: list[str]) -> None:
    tests, cases = set(_TEST.findall(row[-1])), set(_CASE.findall(_TEST.sub("", row[-1])))

    assert tests or cases
    assert tests <= known_tests()
    assert cases <= known_cases()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_quotes_only_words_of_the_source(row: list[str]) -> None:
    quoted = [word for cell in row[:4] for word in _QUOTED.findall(cell)]

    unknown = [w for w in quoted if not w.startswith("hookbus ") and w not in source()]
    assert unknown == []
