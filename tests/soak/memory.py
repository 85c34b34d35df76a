"""What processes hold: memory and descriptors as the kernel tells, tasks as they tell."""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.integration.commands import PATIENCE, Process

MIB: Final = 1024 * 1024
WARM: Final = 20_000  # events until caches and remembered events are full
SPAN: Final = 50_000  # events that a slope is told for
LEAST: Final = 15_000  # events behind the warm ones that a slope can be told from


@dataclass(frozen=True)
class Sample:
    """A process after so many *events* of its own."""

    events: int
    rss: int


@dataclass
class Rest:
    """What a process held when nothing was in flight."""

    descriptors: int
    tasks: int


@dataclass
class Held:
    """By process, a name and its pid, in the order in which it was looked at."""

    samples: defaultdict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    rests: defaultdict[str, list[Rest]] = field(default_factory=lambda: defaultdict(list))


def rss_of(pid: int) -> int:
    """Return the resident set in bytes; 0 for what is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * 4096


def descriptors_of(pid: int) -> int:
    """Count the open descriptors; 0 for what is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def tasks_of(process: Process) -> int:
    """Count the tasks on a role's event loop, as its metrics tell."""
    found = re.search(r"http://\S+?(?=/healthz)", process.errors.read_text())
    assert found is not None, process.errors.read_text()
    with urllib.request.urlopen(f"{found[0]}/metrics", timeout=PATIENCE) as response:
        told = re.search(r"^hookbus_tasks (\d+)", response.read().decode(), re.MULTILINE)
    assert told is not None
    return int(told[1])


def slope(samples: Sequence[Sample]) -> float | None:
    """MiB per 50,000 events behind the first 20,000, by least squares; None is too few events."""
    behind = [s for s in samples if s.events >= WARM]
    if len(behind) < 3 or behind[-1].events - behind[0].events < LEAST:
        return None
    mean_x = sum(s.events for s in behind) / len(behind)
    mean_y = sum(s.rss for s in behind) / len(behind)
    above = sum((s.events - mean_x) * (s.rss - mean_y) for s in behind)
    below = sum((s.events - mean_x) ** 2 for s in behind)
    return above / below * SPAN / MIB
