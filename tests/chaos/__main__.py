"""python -m tests.chaos [WORD …]: one fault after the other, in the middle of 64 emits.

A line for each: how many emits were in flight, how they ended, how many were wrong, what of that
which was acknowledged is lost, by how much the slowest emit missed its timeout (ms), and how long
after the part's return everything was well again (ms). With words, only the faults whose names
hold one of them. Exit code 1 when a bar is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hookbus.broker import EmbeddedBroker
from tests.chaos.answers import observed
from tests.chaos.cluster import Cluster
from tests.chaos.links import links
from tests.chaos.load import TIMEOUT
from tests.chaos.trial import Result, trial
from tests.chaos.troubles import (
    LINKED,
    Site,
    Trouble,
    broker_killed,
    broker_stopped,
    cut,
    half_open,
    killed,
    replaced_hanging,
    slow,
    stopped,
)

#: Milliseconds: what hangs opens its breaker well before the events' own timeouts.
PLUGIN_TIMEOUT_MS: Final = 600

HEADER: Final = (
    "fault",
    "flight",
    "right",
    "refus",
    "error",
    "wrong",
    "lost",
    "twice",
    "over",
    "back",
)

TROUBLES: Final = (
    killed("sieve", hold=1.0),
    killed("dispatcher-1"),
    killed("registry-1"),
    broker_killed(),
    stopped("sieve", 3.0),
    stopped("dispatcher-2", 3.0),
    broker_stopped(3.0),
    replaced_hanging("sieve", 5.2),
    *(slow(name, 0.02, 2.0) for name in LINKED),
    slow("dispatcher-1", 0.05, 2.0),
    *(cut(name, 1.0) for name in LINKED),
    *(half_open(name, 6.0) for name in LINKED),
)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Two dispatchers, two registries, three plugins and an observer on a broker in *folder*."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        ways = stack.enter_context(links(broker.port, LINKED))
        settings = observed(PLUGIN_TIMEOUT_MS)
        cluster = Cluster(stack, folder, broker.url, settings=settings, links=ways.urls)
        yield Site(cluster, broker, ways)


def row(result: Result) -> tuple[str, ...]:
    counts = (result.right, result.refused, result.errors, result.wrong, result.lost)
    return (
        result.fault,
        str(result.in_flight),
        *map(str, counts),
        str(result.doubled),
        f"{result.over * 1000:.0f}",
        f"{result.recovered * 1000:.0f}",
    )


def show(cells: tuple[str, ...]) -> None:
    print(cells[0].ljust(24) + "".join(cell.rjust(6) for cell in cells[1:]), flush=True)


def chosen(words: list[str]) -> list[Trouble]:
    return [t for t in TROUBLES if not words or any(word in t.name for word in words)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="such as: kill broker half-open")
    options = parser.parse_args()
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"timeouts {TIMEOUT * 1000:.0f} ms; {os.cpu_count()} cores, load {load}")
    show(HEADER)
    problems: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="hookbus-chaos-") as folder,
        site(Path(folder)) as where,
    ):
        for trouble in chosen(options.words):
            result = trial(where, trouble)
            show(row(result))
            for problem in result.problems:
                print(f"    {problem[:300]}", flush=True)
            problems += result.problems
    sys.exit(f"{len(problems)} problems" if problems else 0)


if __name__ == "__main__":
    main()
