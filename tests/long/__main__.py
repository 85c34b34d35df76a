"""python -m tests.long [JOB ...]: what takes longer than CI may; each has a small form there.

Exit code 1 when a job failed. Without a name all of them run, in this order.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PYTEST: Final = [sys.executable, "-m", "pytest", "-q"]
SUITE_ROUNDS: Final = 5

#: By name: what it is, what it runs, and with what in the environment.
JOBS: Final[dict[str, tuple[str, list[str], dict[str, str]]]] = {
    "model": (
        "the reference model, 5,000 examples a property",
        [*PYTEST, "tests/model"],
        {"HOOKBUS_EXAMPLES": "5000"},
    ),
    "properties": (
        "patches and schemas, 5,000 examples a property",
        [
            *PYTEST,
            "tests/unit/test_patches_properties.py",
            "tests/unit/test_schema_compare.py",
            "tests/unit/test_python_models.py",
        ],
        {"HOOKBUS_EXAMPLES": "5000"},
    ),
    "fuzz": (
        "five minutes of random input on every target",
        [sys.executable, "-m", "tests.fuzz", "--seconds", "300"],
        {},
    ),
    "mutants": (
        "every rule's mutant and all automatic ones",
        [sys.executable, "-m", "tests.mutants"],
        {},
    ),
    "flakes": (f"the suite {SUITE_ROUNDS} times, each other round with a busy core", PYTEST, {}),
    "availability": (
        "two of each role, any one stopped or killed under 64 in flight",
        [sys.executable, "-m", "tests.chaos.replicas"],
        {},
    ),
    "chaos": (
        "every fault once, with 64 in flight: processes, broker, disk and links",
        [sys.executable, "-m", "tests.chaos"],
        {},
    ),
    "cluster": (
        "three servers, the one that leads the decisions killed under 64 in flight",
        [sys.executable, "-m", "tests.long.cluster"],
        {},
    ),
    "backoff": (
        "an observer that fails for ever, with the delays as they are: nearly three minutes",
        [sys.executable, "-m", "tests.long.backoff"],
        {},
    ),
    "alerts": (
        "each alert fires and each panel shows something, by Prometheus on a faulty bus",
        [sys.executable, "-m", "tests.long.alerts"],
        {},
    ),
    "soak": (
        "ten minutes of a disturbed bus, each decision beside the reference model's",
        [sys.executable, "-m", "tests.soak", "--minutes", "10"],
        {},
    ),
    "explain": (
        "one decision explained among a million, in less than a second",
        [sys.executable, "-m", "tests.bench.explain"],
        {},
    ),
    "bench": ("what a decision costs", [sys.executable, "-m", "tests.bench", "--all"], {}),
}


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy, as another program on the machine would."""
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spin.kill()
        spin.wait()


def run(name: str) -> bool:
    """Run one job and tell whether it went well."""
    said, command, environ = JOBS[name]
    print(f"== {name}: {said}", flush=True)
    started = time.monotonic()
    rounds = SUITE_ROUNDS if name == "flakes" else 1
    codes = []
    for number in range(rounds):
        env = {**os.environ, **environ}
        if number % 2:
            with busy_core():
                codes.append(subprocess.run(command, env=env, check=False).returncode)
        else:
            codes.append(subprocess.run(command, env=env, check=False).returncode)
    print(f"== {name}: exit codes {codes}, {time.monotonic() - started:.0f} s", flush=True)
    return not any(codes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.long", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(JOBS))
    options = parser.parse_args()
    unknown = set(options.jobs) - set(JOBS)
    if unknown:
        parser.error(f"expected {', '.join(JOBS)}; got {', '.join(sorted(unknown))}")
    failed = [name for name in options.jobs or JOBS if not run(name)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
