"""`hookbus plugins show`: one plugin in full, and how it does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookbus import subjects
from hookbus.cli.errors import FOUND, fail
from hookbus.cli.operating import QUIET, Json, Name, Url, ask, print_json
from hookbus.cli.overrides import lines, overrides_in_force
from hookbus.cli.plugins.agreement import Agreement, agreement_of
from hookbus.cli.plugins.observers import observer_lines
from hookbus.cli.printable import clean, compact, shorten
from hookbus.cli.role_stats import DispatcherStats, Histogram, ask_dispatchers
from hookbus.decision_log.reader import NatsStreamReader
from hookbus.errors import TransportError
from hookbus.latency import merged, percentile, since
from hookbus.operations import request
from hookbus.registry.policy import Overrides
from hookbus.transport import NatsTransport

MAX_VALUE: Final = 120  # characters of a value that are shown
MAX_INTERVAL: Final = 60.0  # seconds

#: Of a listed hook; they stand elsewhere in what is shown.
_NOT_OPTIONS: Final = ("name", "version", "origin", "origins", "announced", "observer")


def show(
    name: Name,
    interval: Annotated[
        float,
        typer.Option(
            min=0.1, max=MAX_INTERVAL, metavar="S", help="Seconds over which calls are counted."
        ),
    ] = 1.0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one plugin: hooks with the origin of each value, replicas, breakers, calls and times.

    Of one in shadow also how often it agreed with what was decided, in the last hour at most.

    Exit codes: 0 it is bound and answers, 1 not.

    Example: hookbus plugins show guard-tools
    """
    report = ask(url, lambda transport, who: _look(transport, who, name, interval))
    if as_json:
        print_json(report)
    else:
        _show(report, Console())
    if report["state"] != "bound":
        fail(f"{name} is not asked: {clean(report['problem'])}", FOUND)
    if not report["replicas"]:
        fail(f"{name} is bound, but nothing answers; start it", FOUND)


async def _look(transport: NatsTransport, who: str, name: str, interval: float) -> dict[str, Any]:
    before, started = await ask_dispatchers(transport), time.monotonic()
    listed = await request(transport, who, "list")
    overrides = overrides_in_force(await request(transport, who, "settings"), time.time())
    await asyncio.sleep(max(0.0, interval - (time.monotonic() - started)))
    after, elapsed = await ask_dispatchers(transport), time.monotonic() - started
    found = next((p for p in listed["plugins"] if p["plugin"] == name), None)
    plugin = found or {
        "plugin": name,
        "version": None,
        "state": "unknown",
        "problem": "it has not announced itself, and no settings name it",
        "candidate_of": None,
        "hooks": [],
        "replicas": [],
    }
    return {
        **plugin,
        "problem": plugin["problem"] or _silence(plugin),
        "generation": listed["generation"],
        "overrides": _overrides_of(overrides, name),
        "candidates": [p["plugin"] for p in listed["plugins"] if p["candidate_of"] == name],
        "dispatchers": [_dispatcher(stats, name) for stats in after],
        "calls": calls(before, after, name, elapsed),
        "failures": failures(after, name),
        **await _agreement(transport, plugin),
    }


async def _agreement(transport: NatsTransport, plugin: dict[str, Any]) -> dict[str, Any]:
    """What it says in shadow beside the decisions; null of one that is not in shadow."""
    if not any(hook["mode"] == "shadow" for hook in plugin["hooks"]):
        return {"agreement": None}
    reader = NatsStreamReader(transport, subjects.DECISIONS_STREAM)
    try:
        return {"agreement": await agreement_of(reader, plugin["plugin"], plugin["candidate_of"])}
    except TransportError as e:  # all else is known
        return {"agreement": None, "agreement_problem": str(e)}


def _silence(plugin: dict[str, Any]) -> str | None:
    return None if plugin["state"] == "bound" else "nothing in the settings binds it"


def _overrides_of(overrides: Overrides, name: str) -> Overrides:
    return Overrides(
        removed={k: v for k, v in overrides.removed.items() if k == name},
        approved={k: v for k, v in overrides.approved.items() if k == name},
        modes={k: v for k, v in overrides.modes.items() if k.partition("/")[0] == name},
    )


def _dispatcher(stats: DispatcherStats, name: str) -> dict[str, Any]:
    """What one dispatcher says of the plugin; a breaker that is not named is closed."""

    def mine(values: dict[str, Any]) -> dict[str, Any]:
        return {
            key.partition("/")[2]: value
            for key, value in values.items()
            if key.partition("/")[0] == name
        }

    return {
        "instance": stats.instance,
        "name": stats.name,
        "version": stats.version,
        "generation": stats.generation,
        "breakers": mine(stats.breakers),
        "breakers_open_ms": mine(stats.breakers_open_ms),
    }


def calls(
    before: Sequence[DispatcherStats],
    after: Sequence[DispatcherStats],
    name: str,
    seconds: float,
) -> dict[str, Any]:
    """Add up what the dispatchers saw; times are since their starts, None without any call.

    A dispatcher whose buckets are others than the first one's (another version) is left out.
    """
    bounds = after[0].latencies.bounds_ms if after else []
    earlier = {stats.instance: stats.latencies.plugins.get(name) for stats in before}
    found: list[tuple[str, Histogram]] = []
    for stats in after:
        histogram = stats.latencies.plugins.get(name)
        is_alike = stats.latencies.bounds_ms == bounds
        if histogram is not None and is_alike and len(histogram["counts"]) == len(bounds) + 1:
            found.append((stats.instance, histogram))
    total = merged(histogram for _, histogram in found)
    recent = sum(since(h, earlier[i])["count"] for i, h in found if i in earlier)
    return {
        "count": total["count"],
        "per_second": round(recent / seconds, 3),
        "interval_s": round(seconds, 3),
        "p50_ms": _rounded(percentile(total, bounds, 0.5)),
        "p99_ms": _rounded(percentile(total, bounds, 0.99)),
    }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 3)


def failures(dispatchers: Iterable[DispatcherStats], name: str) -> dict[str, int]:
    """Add up how often the plugin came to no usable answer, the most frequent class first."""
    total: Counter[str] = Counter()
    for stats in dispatchers:
        total.update(stats.failures.get(name, {}))
    return dict(total.most_common())


def _show(report: dict[str, Any], console: Console) -> None:
    state = report["state"]
    heading = Text.assemble((clean(report["plugin"]), "bold"), " ")
    heading.append(clean(report["version"] or "?"), style=QUIET)
    heading.append(f" {state}", style="green" if state == "bound" else "yellow")
    console.print(heading)
    if state == "bound" and report["problem"]:
        console.print(Text(f"a replica is refused: {clean(report['problem'])}", "yellow"))
    for line in lines(report["overrides"]):
        console.print(Text(f"* {line}", "yellow"))
    if report["candidate_of"]:
        console.print(Text(f"candidate of {clean(report['candidate_of'])}"))
    if report["candidates"]:
        console.print(Text(f"its candidates: {', '.join(map(clean, report['candidates']))}"))
    for hook in report["hooks"]:
        console.print(_hook(hook))
    for line in observer_lines(report, is_full=True):
        console.print(Text(line, "bold"))
    console.print(_people(report))
    for numbers in _numbers(report):
        console.print(numbers)
    for said in _agreed(report):
        console.print(said)


def _hook(hook: dict[str, Any]) -> Table:
    table = _table(f"hook {clean(hook['name'])}", "", "from")
    for option, value in hook.items():
        if option in _NOT_OPTIONS:
            continue
        origin = hook["origins"].get(option, "default")
        style = QUIET if origin == "default" else ""
        cells = option, shorten(compact(value), MAX_VALUE), clean(origin)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table


def _people(report: dict[str, Any]) -> Table:
    """Who answers, and who asks."""
    table = _table("who", "version", "where, how")
    for replica in report["replicas"]:
        metadata = replica["metadata"]
        where = f"pid {metadata.get('pid', '?')} on {metadata.get('host', '?')}"
        cells = f"replica {replica['instance'][:8]}", replica["version"], where
        table.add_row(*(Text(shorten(text, MAX_VALUE)) for text in cells))  # anybody may say it
    for dispatcher in report["dispatchers"]:
        how = f"generation {dispatcher['generation']}{_breakers(dispatcher)}"
        cells = f"dispatcher {dispatcher['instance'][:8]}", dispatcher["version"], how
        table.add_row(*(Text(clean(text)) for text in cells))
    return table


def _breakers(dispatcher: dict[str, Any]) -> str:
    rests = dispatcher["breakers_open_ms"]
    return "".join(
        f"; breaker of mode {mode} {state.replace('_', ' ')}"
        + (f" for {rests[mode] / 1000:.1f} s more" if mode in rests else "")
        for mode, state in dispatcher["breakers"].items()
    )


def _numbers(report: dict[str, Any]) -> Iterable[Text]:
    counted = report["calls"]
    if counted["count"]:
        times = f"p50 {counted['p50_ms']:.1f} ms   p99 {counted['p99_ms']:.1f} ms"
        rate = f"{counted['per_second']:.1f} calls/s"
        since_ = f"{counted['count']} calls since the dispatchers' start"
        yield Text.assemble((f"{rate}   {times}", "bold"), (f"   {since_}", QUIET))
    else:
        yield Text("no call since the dispatchers' start", QUIET)
    if report["failures"]:
        said = ", ".join(f"{count} {failure}" for failure, count in report["failures"].items())
        yield Text(clean(f"failures: {said}"), "yellow")


def _agreed(report: dict[str, Any]) -> Iterable[Text]:
    """Of a plugin in shadow: what it would have changed, and how it compares with another."""
    if problem := report.get("agreement_problem"):
        yield Text(f"what it says in shadow cannot be read: {clean(problem)}", "yellow")
    found: Agreement | None = report["agreement"]
    if found is None:
        return
    if not found.records:
        yield Text("in shadow, and not asked in the last hour, as far as was looked", QUIET)
        return
    events = f"{found.records} event{'s' if found.records > 1 else ''}"
    if found.incumbent is not None:
        kinds = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in found.kinds.items())
        yield Text(f"in shadow, beside {clean(found.incumbent)}: {events}: {kinds}")
        return
    yield Text(
        f"in shadow, beside what was decided: {events}: {found.unchanged} as it was,"
        f" {found.would_block} it would block, {found.would_change} it would change,"
        f" {found.failed} it failed"
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
