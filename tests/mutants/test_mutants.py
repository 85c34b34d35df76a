"""A small form of ``python -m tests.mutants``: every rule's mutant, and some automatic ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.automatic import automatic_mutants
from tests.mutants.report import accepted_survivors
from tests.mutants.rules import DoesNotApply, applied, hunks_of, rule_mutants

ROOT = Path(__file__).parents[2]
SEED = 6  # one whose mutants die early in the table
SAMPLE = 4

SOURCE = "def f(a, b):\n    if a < b:\n        return 1\n    if a < b:\n        return 2\n"
PATCH = """\
# R1: an example
# killed by: table:A01
--- a/m.py
+++ b/m.py
@@ -1,3 +1,3 @@
 def f(a, b):
-    if a < b:
+    if a > b:
         return 1
"""


def test_the_patch_of_every_rule_applies() -> None:
    mutants, problems = rule_mutants(lambda path: (ROOT / path).read_text())

    assert problems == []
    assert {int(mutant.name[1:3]) for mutant in mutants} == set(range(1, 32))


def test_a_patch_applies_though_lines_around_it_changed() -> None:
    [hunk] = hunks_of(PATCH)

    changed = applied(SOURCE.replace("def f(a, b)", "def f(a: int, b: int)"), hunk)

    assert changed.splitlines()[1:3] == ["    if a > b:", "        return 1"]


def test_a_patch_whose_place_is_gone_does_not_apply() -> None:
    [hunk] = hunks_of(PATCH)

    with pytest.raises(DoesNotApply, match="no longer"):
        applied(SOURCE.replace("<", "<="), hunk)


def test_a_patch_that_fits_two_places_does_not_apply() -> None:
    [hunk] = hunks_of(PATCH)

    with pytest.raises(DoesNotApply, match="2 places"):
        applied(SOURCE * 2, hunk)


def test_an_automatic_mutant_changes_one_thing_and_keeps_its_name_when_code_moves() -> None:
    first = {m.name: m.sources["m.py"] for m in automatic_mutants("m.py", SOURCE)}
    moved = {m.name: m.line for m in automatic_mutants("m.py", "import os\n\n\n" + SOURCE)}

    assert first.keys() == moved.keys()
    assert first["m.py f: < => <= in if a < b:"] == SOURCE.replace("<", "<=", 1)
    assert moved["m.py f: < => <= in if a < b: #2"] == 7


def test_texts_for_people_types_and_logs_are_not_mutated() -> None:
    body = '    """Says 1 < 2."""\n    log.info(1 < 2)\n    return f"{1}"\n'
    source = f"def f(a: list[int]) -> str:\n{body}"

    assert [m.name for m in automatic_mutants("m.py", source)] == []


def test_every_accepted_survivor_has_a_reason() -> None:
    assert set(accepted_survivors().values()) <= {"equivalent", "speed", "message", "elsewhere"}


def test_each_rules_mutant_is_killed_by_the_tests_that_it_names(tmp_path: Path) -> None:
    report = _run(tmp_path, "--rules")

    assert report["problems"] == report["missed"] == []
    assert [v["mutant"] for v in report["verdicts"] if v["killer"] is None] == []


def test_a_sample_of_automatic_mutants_is_killed_or_accounted_for(tmp_path: Path) -> None:
    report = _run(tmp_path, "--automatic", f"--sample={SAMPLE}", f"--seed={SEED}")

    assert report["mutants"] == SAMPLE
    assert [v["mutant"] for v in report["verdicts"] if not v["killer"] and not v["kind"]] == []


def _run(directory: Path, *arguments: str) -> dict[str, Any]:
    """Run the command in a process of its own: it forks, and imports the package anew."""
    file = directory / "report.json"
    command = [sys.executable, "-m", "tests.mutants", "--jobs=2", f"--json={file}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert file.exists(), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(file.read_text())
    return report
