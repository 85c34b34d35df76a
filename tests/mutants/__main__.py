"""``python -m tests.mutants``: which mutants live, and who killed the others."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutants.automatic import automatic_mutants
from tests.mutants.mutant import Mutant
from tests.mutants.report import Report
from tests.mutants.rules import rule_mutants
from tests.mutants.trials import Court, copy_package

ROOT: Final = Path(__file__).parents[2]
#: Not among them: what waits for acknowledgements and what is kept of inputs, of which table and
#: model know nothing.
NOT_MUTATED: Final = ("outbox.py", "inputs.py")
MUTATED: Final = ("hookbus/dispatch/*.py", "hookbus/runtimes/remote.py", "hookbus/patches/*.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what was asked for; 1 when a mutant lives that nobody accounts for."""
    asked = _arguments(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        directory = Path(name).resolve()
        copy_package(ROOT, directory)
        mutants, problems = _mutants(asked, directory)
        report = Report(problems)
        court = Court(directory, jobs=asked.jobs, is_beyond=asked.beyond)
        if asked.table:
            court.leave_out("model:")
        is_whole = asked.sample is None and not asked.rules
        if is_whole:
            report.failing = court.measure()
        for verdict in report.take_over(asked.again, mutants):
            mutants.remove(verdict.mutant)
        for verdict in court.try_all(mutants):
            report.add(verdict)
            if asked.verbose:
                print(report.line(verdict), flush=True)
        report.seconds = round(time.monotonic() - began, 1)
    print(report.text())
    if asked.json is not None:
        asked.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    return 0 if report.is_good(whole=asked.sample is None) else 1


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--rules", action="store_true", help="only the hand-made ones")
    parser.add_argument("--automatic", action="store_true", help="only those of the syntax tree")
    for part, of in (("--module", "part of a path"), ("--only", "part of a name")):
        parser.add_argument(part, action="append", default=[], metavar="TEXT", help=of)
    parser.add_argument("--sample", type=int, metavar="N", help="so many automatic ones")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--jobs", type=int, default=1, help="at once")
    parser.add_argument("--table", action="store_true", help="without the model: quick, but rough")
    parser.add_argument("--beyond", action="store_true", help="flow and unit tests on survivors")
    parser.add_argument("--json", type=lambda name: Path(name).resolve(), metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE", help="only what lived in that report")
    parser.add_argument("--verbose", action="store_true", help="each mutant as it is tried")
    return parser.parse_args(arguments)


def _mutants(asked: argparse.Namespace, directory: Path) -> tuple[list[Mutant], list[str]]:
    mutants: list[Mutant] = []
    problems: list[str] = []
    if not asked.automatic:
        mutants, problems = rule_mutants(lambda path: (directory / path).read_text())
    if not asked.rules:
        mutants.extend(_automatic(asked, directory))
    return [m for m in mutants if _is_asked_for(asked, m)], problems


def _automatic(asked: argparse.Namespace, directory: Path) -> list[Mutant]:
    found_files = [file for pattern in MUTATED for file in sorted(directory.glob(pattern))]
    files = [file for file in found_files if file.name not in NOT_MUTATED]
    found = [
        mutant
        for file in files
        for mutant in automatic_mutants(str(file.relative_to(directory)), file.read_text())
    ]
    if asked.sample is None:
        return found
    return random.Random(asked.seed).sample(found, asked.sample)


def _is_asked_for(asked: argparse.Namespace, mutant: Mutant) -> bool:
    return (not asked.module or any(part in mutant.path for part in asked.module)) and (
        not asked.only or any(part in mutant.name for part in asked.only)
    )


if __name__ == "__main__":
    sys.exit(main())
