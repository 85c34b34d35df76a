"""python -m tests.chaos.replicas: what a stopped or killed replica of two costs, under load.

Each of the four roles is stopped (SIGTERM) and killed (SIGKILL) in turn, and replaced; at last all
four are stopped one after the other under one load. Every decision is compared with what its event
must become, and with its record. Exit code 1 when one was wrong, a stop lost something, or a kill
lost more than that replica held.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hookbus.broker import EmbeddedBroker
from tests.chaos.cluster import ROLES, Cluster
from tests.chaos.faults import SIGNALS, Figures, strike
from tests.chaos.load import TIMEOUT

HEADER = ("fault", "decided", "flight", "held", "wrong", "lost", "slowest", "lag", "back")


def row(figures: Figures) -> tuple[str, ...]:
    return (
        figures.fault,
        str(figures.decided),
        str(figures.in_flight),
        str(figures.held),
        str(figures.wrong),
        str(figures.lost),
        f"{figures.slowest * 1000:.0f}",
        f"{figures.lag * 1000:.0f}",
        f"{figures.back * 1000:.0f}",
    )


def show(cells: tuple[str, ...]) -> None:
    print(cells[0].ljust(18) + "".join(cell.rjust(8) for cell in cells[1:]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.replicas", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of all eight faults")
    options = parser.parse_args()
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"timeouts {TIMEOUT * 1000:.0f} ms; times in ms; {os.cpu_count()} cores, load {load}")
    show(HEADER)
    problems: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookbus-chaos-")))
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        cluster = Cluster(stack, folder, broker.url)
        for _ in range(options.rounds):
            for name in ROLES:
                for how in SIGNALS:
                    figures = strike(cluster, how, name)
                    show(row(figures))
                    problems += figures.problems
        figures = strike(cluster, "stop", *ROLES)  # the upgrade of a running bus
        show(row(figures))
        problems += figures.problems
    sys.exit("\n".join(problems[:20]) if problems else 0)


if __name__ == "__main__":
    main()
