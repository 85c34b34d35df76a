"""The screen of `hookbus top`. Pure."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hookbus.cli.printable import clean, shorten
from hookbus.cli.role_stats import RegistryStats
from hookbus.cli.top.figures import DispatcherRow, Figures, PluginRow

QUIET: Final = "dim"
MAX_NAME: Final = 32  # characters
MAX_PROBLEM: Final = 300
INSTANCE: Final = 20  # characters of an instance that are shown


def render_top(figures: Figures, at: str) -> RenderableType:
    """Return the whole picture; *at* is when it was taken."""
    parts: list[RenderableType] = [_heading(figures, at), _summary(figures), Text()]
    if figures.dispatchers:
        parts += [_dispatchers(figures.dispatchers), Text()]
    if figures.plugins:
        parts += [_plugins(figures.plugins), Text()]
    parts += [
        Text(f"! {shorten(problem, MAX_PROBLEM)}", "bold red")
        for problem in dict.fromkeys(figures.problems)
    ]
    return Group(*parts, *([] if figures.problems else [Text("nothing is wrong", "green")]))


def _heading(figures: Figures, at: str) -> Text:
    return Text.assemble(("hookbus", "bold"), (f"  {at}, the last {figures.seconds:.1f} s", QUIET))


def _summary(figures: Figures) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=QUIET, no_wrap=True)
    grid.add_column(overflow="fold")
    counts = "  ".join(f"{name} {rate:.1f}" for name, rate in figures.outcomes.items() if rate)
    grid.add_row("events/s", f"{figures.events.per_second:.1f}   {counts}")
    took = f"p50 {_ms(figures.events.p50_ms)} ms, p99 {_ms(figures.events.p99_ms)} ms"
    grid.add_row("decided in", f"{took}; {figures.in_flight} in flight")
    if figures.others:
        others = "  ".join(f"{name} {rate:.1f}" for name, rate in figures.others.items())
        grid.add_row("also /s", Text(clean(others), "yellow"))
    grid.add_row("registry", _registries(figures.registries))
    return grid


def _registries(registries: list[RegistryStats]) -> Text:
    if not registries:
        return Text("none answers", "bold red")
    generations = sorted({str(r.generation) for r in registries if r.generation is not None})
    owners = dict.fromkeys(r.owner for r in registries if r.owner)
    said = [f"{len(registries)} up"]
    said += [f"generation {', '.join(generations)}"] if generations else []
    said += [f"settings are those of {owner}" for owner in owners]
    return Text(clean("; ".join(said)))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", overflow="ellipsis")
    return table


def _dispatchers(rows: list[DispatcherRow]) -> Table:
    table = _table("dispatcher", "generation", "events/s", "in flight", "breakers not closed")
    newest = max(row.generation for row in rows)
    for row in rows:
        is_behind = row.generation < newest
        table.add_row(
            Text(_dispatcher_name(row)),
            Text(str(row.generation), "bold red" if is_behind else ""),
            "…" if row.events_per_second is None else f"{row.events_per_second:.1f}",
            str(row.in_flight),
            Text(str(len(row.breakers)), "bold red" if row.breakers else QUIET),
        )
    return table


def _dispatcher_name(row: DispatcherRow) -> str:
    if row.local_to is None:
        return shorten(row.instance, INSTANCE)
    return shorten(f"{row.instance[:6]} in {row.local_to}", INSTANCE)


def _plugins(rows: list[PluginRow]) -> Table:
    table = _table("plugin", "up", "calls/s", "p50 ms", "p99 ms", "state")
    for row in rows:
        is_absent = row.replicas == 0 and row.state == "bound"
        table.add_row(
            Text(shorten(row.plugin, MAX_NAME), "bold red" if is_absent else "bold"),
            Text("?" if row.replicas is None else str(row.replicas), "red" if is_absent else ""),
            f"{row.calls.per_second:.1f}",
            _ms(row.calls.p50_ms),
            _ms(row.calls.p99_ms),
            Text(clean(row.state or "?"), QUIET if row.state == "bound" else "yellow"),
        )
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
