"""``python -m tests.conformance``: the cases, in memory and on a real server, side by side.

A whole run ends with the rules' mutants, and which case killed each.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.running import Result, run_in_memory, run_on_server
from tests.conformance.table import Case, load_cases

OFFICIAL = 97  # cases of semantics.md, section 3
WIDTH = 66  # characters of a case's text in the list
MUTANTS = (sys.executable, "-m", "tests.mutants", "--rules", "--verbose", "--jobs=2")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a case failed."""
    asked = _arguments(arguments)
    logging.disable()  # cut connections and absent dispatchers are what some cases are about
    cases = [c for c in load_cases() if not asked.only or c.id.startswith(tuple(asked.only))]
    played = [case for case in cases if not case.is_elsewhere]
    stages: dict[str, Mapping[str, Result]] = {}
    if not asked.server:
        stages["memory"] = {case.id: run_in_memory(case) for case in played}
    if not asked.memory:
        with tempfile.TemporaryDirectory() as directory:
            stages["server"] = run_on_server(played, Path(directory))
    for case in cases:
        _print_case(case, stages)
    failed = _print_counts(cases, stages)
    if not (asked.only or asked.memory or asked.server):
        print("\nmutants, one or more for each rule:", flush=True)
        failed += subprocess.run(MUTANTS, check=False).returncode
    return 1 if failed else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="cases that begin with ID")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--memory", action="store_true", help="in memory only")
    one.add_argument("--server", action="store_true", help="on a real server only")
    return parser.parse_args(arguments)


def _print_case(case: Case, stages: Mapping[str, Mapping[str, Result]]) -> None:
    words = [f"{name} {_word(case, results):9}" for name, results in stages.items()]
    print(f"{case.id:9} {'  '.join(words)}  {case.text[:WIDTH]}")
    for note in case.elsewhere:
        print(f"{'':9} elsewhere: {note}")
    for name, results in stages.items():
        for problem in results[case.id].problems if case.id in results else ():
            print(f"{'':9} {name}: {problem}")


def _word(case: Case, results: Mapping[str, Result]) -> str:
    if case.is_elsewhere:
        return "elsewhere"
    if case.id not in results:
        return "-"
    return "FAILED" if results[case.id].problems else "passed"


def _print_counts(cases: Sequence[Case], stages: Mapping[str, Mapping[str, Result]]) -> int:
    official = {case.number for case in cases if not case.id.startswith("X")}
    print(f"\n{len(official)} of the {OFFICIAL} cases of semantics.md, {_more(cases)} more")
    failed = 0
    for name, results in stages.items():
        words = Counter(_word(case, results) for case in cases)
        failed += words["FAILED"]
        alone = f", {words['-']} not on this stage" if words["-"] else ""
        print(f"{name}: {words['passed']} passed, {words['FAILED']} failed{alone}")
    whole = [case for case in cases if case.is_elsewhere]
    halves = [case for case in cases if case.elsewhere and not case.is_elsewhere]
    print(f"elsewhere: {len(whole)} cases, and a part of {len(halves)} more", end=": ")
    issues = Counter(note.partition(":")[0] for case in cases for note in case.elsewhere)
    print(", ".join(f"{count} in {issue}" for issue, count in sorted(issues.items())) or "none")
    return failed


def _more(cases: Sequence[Case]) -> int:
    """Count variants of the cases, and those that it leaves out."""
    return sum(case.id != case.number or case.id.startswith("X") for case in cases)


if __name__ == "__main__":
    sys.exit(main())
