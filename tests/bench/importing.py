"""How long `import hookbus` takes, which is what every emitter and plugin pays first.

The package loads its modules when a name is used, so what counts is all public names. Each is
imported by fresh processes in turn; what an empty process takes is subtracted. Bar: 150 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Final, NamedTuple

from tests.bench.limits import AtMost, print_limits
from tests.bench.options import Options, Outcome

PROCESSES: Final = 10
MOST_MS: Final = 150.0
EMPTY: Final = "pass"
ALL: Final = "from hookbus import *"
PROGRAMS: Final = (EMPTY, "import hookbus", "from hookbus import Emitter", ALL)


class Took(NamedTuple):
    """Milliseconds."""

    wall: float
    cpu: float


def run_one(program: str) -> Took:
    """Run one program in a fresh process."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program])
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{program!r} ended with {process.returncode}")
    return Took(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3)


def run_import(processes: int) -> dict[str, list[Took]]:
    for program in PROGRAMS:
        run_one(program)  # once for the bytecode and the disk
    results: dict[str, list[Took]] = {program: [] for program in PROGRAMS}
    for _ in range(processes):
        for program, took in results.items():
            took.append(run_one(program))
    return results


def above_empty(results: dict[str, list[Took]], program: str) -> Took:
    """The median of the differences to the empty process of the same round."""
    pairs = list(zip(results[program], results[EMPTY], strict=True))
    wall = statistics.median(one.wall - empty.wall for one, empty in pairs)
    return Took(wall, statistics.median(one.cpu - empty.cpu for one, empty in pairs))


def print_import(results: dict[str, list[Took]]) -> bool:
    """Print all figures and the bar; tell whether it holds."""
    print("\nfresh processes, milliseconds (and more than the empty one)")
    print(f"  {'':30}{'wall':>10}{'cpu':>10}{'wall +':>10}{'cpu +':>10}")
    for program, took in results.items():
        more = above_empty(results, program)
        wall = statistics.median(one.wall for one in took)
        cpu = statistics.median(one.cpu for one in took)
        print(f"  {program:30}{wall:10.1f}{cpu:10.1f}{more.wall:10.1f}{more.cpu:10.1f}")
    print()
    more = above_empty(results, ALL)
    return print_limits(
        [
            AtMost(f"{ALL}: ms of CPU", more.cpu, MOST_MS),
            AtMost(f"{ALL}: ms", more.wall, MOST_MS),
        ]
    )


def run_import_mode(options: Options, processes: int = PROCESSES) -> Outcome:
    """The rounds and events of *options* say nothing here."""
    results = run_import(processes)
    return Outcome(results, print_import(results))
