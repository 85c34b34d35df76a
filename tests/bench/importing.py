"""How long `import hookbus` takes, in fresh processes, beside one that does nothing.

The package loads its modules when a name is first used, so what an emitter or a plugin pays stands
beside it: most of that is nats-py and pydantic. Bar: 150 ms more than nothing for the package.
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
PACKAGE: Final = "import hookbus"
PROGRAMS: Final = (
    EMPTY,
    PACKAGE,
    "import nats",
    "import pydantic; pydantic.BaseModel",
    "from hookbus import Emitter",
    "from hookbus import *",
)


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
    run_one(PROGRAMS[-1])  # once for the bytecode and the disk
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


def print_import(results: dict[str, list[Took]], *, is_quick: bool) -> bool:
    """Print all figures and the bar; tell whether it holds."""
    print("\nfresh processes, milliseconds (and more than the empty one)")
    print(f"  {'':38}{'wall':>10}{'cpu':>10}{'wall +':>10}{'cpu +':>10}")
    for program, took in results.items():
        more = above_empty(results, program)
        wall = statistics.median(one.wall for one in took)
        cpu = statistics.median(one.cpu for one in took)
        print(f"  {program:38}{wall:10.1f}{cpu:10.1f}{more.wall:10.1f}{more.cpu:10.1f}")
    more = above_empty(results, PACKAGE)
    limits = [AtMost(f"{PACKAGE}: ms", more.wall, MOST_MS)]
    return print_limits(limits, is_quick=is_quick)


def run_import_mode(options: Options) -> Outcome:
    """The rounds and events of *options* say nothing here."""
    results = run_import(1 if options.is_quick else PROCESSES)
    return Outcome(results, print_import(results, is_quick=options.is_quick))
