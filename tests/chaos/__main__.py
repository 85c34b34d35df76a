"""python -m tests.chaos [WORD …]: one fault after the other, in the middle of 64 emits.

A line for each: how many emits were in flight, how they ended, how many were wrong, what of that
which was acknowledged is lost, by how much the slowest emit missed its timeout (ms), and how long
after the part's return everything was well again (ms). With words, only the faults whose names
hold one of them. Exit code 1 when a bar is broken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookbus.broker import EmbeddedBroker
from tests.chaos.answers import SMALL_STREAMS, observed
from tests.chaos.cluster import Cluster
from tests.chaos.links import Links, links
from tests.chaos.load import TIMEOUT
from tests.chaos.trial import Result, trial
from tests.chaos.troubles import (
    Trouble,
    broker_killed,
    broker_stopped,
    cut,
    disk_full,
    half_open,
    killed,
    replaced_hanging,
    slow,
    stopped,
)

#: Milliseconds: what hangs opens its breaker well before the events' own timeouts.
PLUGIN_TIMEOUT_MS: Final = 600
#: Who reaches the broker over a link: one of two dispatchers, a plugin, and the traffic.
LINKED: Final = ("dispatcher-1", "sieve", "emitter")
DISK: Final = "64m"  # for JetStream, so that it is soon full

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


@dataclass(frozen=True, slots=True)
class Site:
    """Two dispatchers, two registries, three plugins and an observer on one broker.

    *disk* is what the broker alone writes to, if it could be mounted.
    """

    cluster: Cluster
    broker: EmbeddedBroker
    links: Links
    disk: Path | None

    def troubles(self) -> list[Trouble]:
        """Everything that can happen to it."""
        cluster, broker, links = self.cluster, self.broker, self.links
        return [
            killed(cluster, "sieve", hold=1.0),
            killed(cluster, "dispatcher-1"),
            killed(cluster, "registry-1"),
            broker_killed(broker),
            stopped(cluster, "sieve", 3.0),
            stopped(cluster, "dispatcher-2", 3.0),
            broker_stopped(broker, 3.0),
            replaced_hanging(cluster, "sieve", 5.0),
            *([disk_full(broker, self.disk, 3.0)] if self.disk else []),
            *(slow(links, name, 0.02, 2.0) for name in LINKED),
            slow(links, "dispatcher-1", 0.05, 2.0),
            *(cut(links, name, 1.0) for name in LINKED),
            # as long as the broker needs to give up who does not answer its pings
            *(half_open(links, name, 6.0) for name in LINKED),
        ]


class _RoomyBroker(EmbeddedBroker):
    """Believes in more room than there is: the streams of a bus without settings are large."""

    def _write_config(self) -> None:
        super()._write_config()
        file = self.data_dir / "nats-server.conf"
        file.write_text(file.read_text().replace("jetstream {", "jetstream { max_file_store: 8GB,"))


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start it in *folder*, and end it."""
    with ExitStack() as stack:
        disk = stack.enter_context(mounted(folder / "disk"))
        broker = _RoomyBroker.start(data_dir=(disk or folder) / "nats")
        stack.enter_context(broker)
        ways = stack.enter_context(links(broker.port, LINKED))
        settings = {**observed(PLUGIN_TIMEOUT_MS), "streams": SMALL_STREAMS}
        cluster = Cluster(stack, folder, broker.url, settings=settings, links=ways.urls)
        yield Site(cluster, broker, ways, disk)


@contextmanager
def mounted(folder: Path) -> Iterator[Path | None]:
    """A small disk of its own; None where we may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        print(
            "full disk: left out, mounting needs root; test_jetstream_trouble.py has it by a limit"
        )
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


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
        words = options.words
        for trouble in where.troubles():
            if words and not any(word in trouble.name for word in words):
                continue
            result = trial(where.cluster, trouble, where.links.urls["emitter"])
            show(row(result))
            for problem in result.problems:
                print(f"    {problem[:300]}", flush=True)
            problems += result.problems
    sys.exit(f"{len(problems)} problems" if problems else 0)


if __name__ == "__main__":
    main()
