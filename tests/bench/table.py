"""The table of one scenario, for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.bench.contestants import CONTESTANTS
from tests.bench.figures import Results, median, ratio
from tests.bench.scenarios import IN_FLIGHT, Scenario

#: Title, width, load, figure, and what it is set against (None: the figure itself).
COLUMNS: Final = (
    ("p50 µs", 7, "one", "p50_us", None),
    ("p99 µs", 7, "one", "p99_us", None),
    ("×raw", 6, "one", "p50_us", "raw"),
    ("×fair", 6, "one", "p50_us", "fair"),
    ("events/s", 10, "many", "events_per_second", None),
    ("×raw", 6, "many", "events_per_second", "raw"),
    ("×fair", 6, "many", "events_per_second", "fair"),
    ("emitter", 9, "many", "cpu_emitter_us", None),
    ("disp.", 6, "many", "cpu_dispatcher_us", None),
    ("plugins", 8, "many", "cpu_plugins_us", None),
    ("broker", 7, "many", "cpu_broker_us", None),
    ("all", 6, "many", "cpu_all_us", None),
)
GROUPS: Final = (
    ("one at a time", 26),
    (f"{IN_FLIGHT} in flight", 22),
    ("CPU µs per event, of which process", 36),
)
NAME: Final = 16


def rows(results: Results) -> Iterator[list[str]]:
    """One line per contestant; a process that it does not have is "–"."""
    for name in results:
        cells = [CONTESTANTS[name].title]
        for _, _, load, key, base in COLUMNS:
            if base is None:
                cells.append(_said(median(results, name, load, key), 0))
            else:
                cells.append(_said(ratio(results, name, base, load, key), 2))
        yield cells


def _said(figure: float | None, digits: int) -> str:
    return "–" if figure is None else f"{figure:.{digits}f}"


def print_table(name: str, scenario: Scenario, results: Results) -> None:
    print(f"\n{name}: {scenario.says}")
    print(" " * NAME + "".join(title.rjust(width) for title, width in GROUPS))
    for cells in (["", *(column[0] for column in COLUMNS)], *rows(results)):
        figures = zip(cells[1:], COLUMNS, strict=True)
        line = "".join(cell.rjust(column[1]) for cell, column in figures)
        print(f"{cells[0]:{NAME}}{line}", flush=True)
