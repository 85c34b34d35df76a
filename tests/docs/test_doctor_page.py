"""docs/doctor.md: every mistake has a test that is there, and a line that the doctor has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import Page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    page = Page((ROOT / "docs" / "doctor.md").read_text(), {})
    return [list(row) for row in page.rows("mistake")]


def test_there_are_at_least_twenty_mistakes(rows: list[list[str]]) -> None:
    assert len({row[0] for row in rows}) == len(rows) >= 20


def test_every_mistake_names_a_test_that_is_there(rows: list[list[str]]) -> None:
    sources = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    there = set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.MULTILINE))

    named = {row[4].strip("`") for row in rows}
    assert named - there == set()


def test_every_line_of_the_doctors_is_one_that_it_has(rows: list[list[str]]) -> None:
    sources = [file.read_text() for file in (ROOT / "hookbus" / "cli" / "doctor").glob("*.py")]
    has = set(re.findall(r'(?:problem\(|check = f?)\s*"(\w[\w-]*)', "\n".join(sources)))

    assert {row[3].strip("`") for row in rows} - {"nothing"} - has == set()
