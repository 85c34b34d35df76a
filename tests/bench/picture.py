"""The contest as a picture: an SVG of bars, a row per scenario, a column per figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from tests.bench.contestants import CONTESTANTS
from tests.bench.figures import Results, median
from tests.bench.scenarios import IN_FLIGHT, SCENARIOS

NAMES: Final = 126  # pixels for the contestants' names
COLUMN: Final = 256
GAP: Final = 20
NUMBER: Final = 52  # of a column: for the number at the end of the longest bar
BAR: Final = 14
LINE: Final = 18
HEAD: Final = 58
TITLE: Final = 30  # above a scenario's bars
FOOT: Final = 8  # below them
MARGIN: Final = 16
WIDTH: Final = 2 * MARGIN + NAMES + 3 * COLUMN + 2 * GAP

#: What is drawn, in which colour: hookbus stands out, the relays are the ground.
COLOURS: Final = {
    "raw": "#b9c0c9",
    "fair": "#8f99a6",
    "remote": "#1f6feb",
    "local": "#0a3d91",
    "naive": "#d9a441",
    "cpex": "#b4552d",
}


class Column(NamedTuple):
    title: str
    subtitle: str
    load: str
    key: str


COLUMNS: Final = (
    Column("p50, µs", "one event at a time; shorter is better", "one", "p50_us"),
    Column(
        "events a second", f"{IN_FLIGHT} in flight; longer is better", "many", "events_per_second"
    ),
    Column("CPU, µs an event", "all processes; shorter is better", "many", "cpu_all_us"),
)


def draw(everything: Mapping[str, Results]) -> str:
    """Return the picture of everything that was measured, as SVG.

    Every column has a scale of its own in each scenario, from 0 to its longest bar.
    """
    parts = [*_heads()]
    top = HEAD
    for name, results in everything.items():
        parts += _scenario(name, results, top)
        top += TITLE + LINE * len(results) + FOOT
    height = top + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img" font-size="12"'
            ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
            "<title>hookbus beside relays that check nothing, and its peers</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _left(number: int) -> int:
    return MARGIN + NAMES + number * (COLUMN + GAP)


def _text(x: float, y: float, said: str, *, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="#1c2430"{more}>{escape(said)}</text>'


def _heads() -> Iterator[str]:
    for number, column in enumerate(COLUMNS):
        yield _text(_left(number), MARGIN + 10, column.title, more=' font-weight="600"')
        yield _text(_left(number), MARGIN + 26, column.subtitle, more=' font-size="11"')


def _scenario(name: str, results: Results, top: int) -> Iterator[str]:
    line = f'x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{top}" y2="{top}"'
    yield f'<line {line} stroke="#dfe3e8"/>'
    title = f"{name}: {SCENARIOS[name].says}"
    yield _text(MARGIN, top + 18, title, more=' font-weight="600"')
    for row, contestant in enumerate(results):
        middle = top + TITLE + LINE * row + LINE / 2
        is_ours = ' font-weight="600"' if contestant in ("remote", "local") else ""
        end = f' text-anchor="end"{is_ours}'
        yield _text(MARGIN + NAMES - 8, middle + 3, CONTESTANTS[contestant].title, more=end)
        for number, column in enumerate(COLUMNS):
            yield from _bar(results, contestant, column, _left(number), middle)


def _bar(
    results: Results, contestant: str, column: Column, left: int, middle: float
) -> Iterator[str]:
    longest = max(median(results, name, column.load, column.key) or 0 for name in results)
    figure = median(results, contestant, column.load, column.key)
    if figure is None or not longest:
        return
    width = max(1.0, (COLUMN - NUMBER) * figure / longest)
    yield (
        f'<rect x="{left}" y="{middle - BAR / 2:g}" width="{width:.1f}" height="{BAR}"'
        f' fill="{COLOURS[contestant]}"/>'
    )
    yield _text(left + width + 5, middle + 4, f"{figure:,.0f}")
