"""How fast it has to be, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from tests.bench.contestants import CONTESTANTS
from tests.bench.figures import Results, ratio
from tests.bench.scenarios import SCENARIOS

Is = Literal["at most", "at least", "below"]

#: By what is said: the load and the figure.
FIGURES: Final = {
    "p50": ("one", "p50_us"),
    "events/s": ("many", "events_per_second"),
    "dispatcher CPU": ("many", "cpu_dispatcher_us"),
}


class Bar(NamedTuple):
    """*name*'s figure over *base*'s in the same round, in one scenario."""

    name: str
    base: str
    figure: str
    is_: Is
    limits: Mapping[str, float]  # by scenario


_EVERY_N: Final = ("n=1", "n=3", "n=10")
_NEVER_ABOVE: Final = {name: 1.0 for name in SCENARIOS if name not in ("n=1", "n=3")}

BARS: Final = (
    Bar("remote", "fair", "p50", "at most", dict.fromkeys(_EVERY_N, 1.2)),
    Bar(
        "remote", "fair", "events/s", "at least", {**dict.fromkeys(_EVERY_N, 0.75), "3 mutate": 0.7}
    ),
    Bar("remote", "raw", "events/s", "at least", {"n=1": 0.65, "n=3": 0.6, "n=10": 0.6}),
    Bar(
        "remote",
        "raw",
        "dispatcher CPU",
        "at most",
        {"n=1": 2.0, "n=3": 1.9, "n=10": 1.7, "3 mutate": 2.4},
    ),
    Bar("local", "remote", "p50", "at most", {"n=1": 0.5, "n=3": 0.65, **_NEVER_ABOVE}),
    Bar("remote", "naive", "events/s", "at least", dict.fromkeys(_EVERY_N, 7.0)),
    Bar("local", "naive", "events/s", "at least", dict.fromkeys(_EVERY_N, 7.0)),
    Bar("local", "cpex", "p50", "below", {"n=3": 1.0, "n=10": 1.0}),
)


class Judged(NamedTuple):
    """A bar in one scenario.

    Attributes:
        says: what is compared.
        scenario: by name.
        found: the median of the rounds' ratios; None where it was not measured.
        limit: with the word for it, "at most 1.2".
        is_met: None where it was not measured.
    """

    says: str
    scenario: str
    found: float | None
    limit: str
    is_met: bool | None


def judge(everything: Mapping[str, Results]) -> list[Judged]:
    """Set every bar against what was measured."""
    return list(_judged(everything))


def _judged(everything: Mapping[str, Results]) -> Iterator[Judged]:
    for bar in BARS:
        load, key = FIGURES[bar.figure]
        says = f"{CONTESTANTS[bar.name].title} / {CONTESTANTS[bar.base].title}, {bar.figure}"
        for scenario, limit in bar.limits.items():
            found = ratio(everything.get(scenario, {}), bar.name, bar.base, load, key)
            is_met = None if found is None else _holds(found, bar.is_, limit)
            yield Judged(says, scenario, found, f"{bar.is_} {limit:g}", is_met)


def _holds(found: float, is_: Is, limit: float) -> bool:
    if is_ == "at least":
        return found >= limit
    return found < limit if is_ == "below" else found <= limit


def print_bars(judged: list[Judged], *, is_quick: bool) -> None:
    print("\nbars" + " (a quick run is no measurement: shown, not judged)" * is_quick)
    words = {True: "met", False: "MISSED", None: "–"}
    for bar in judged:
        found = "not measured" if bar.found is None else f"{bar.found:.3f}"
        what = f"{bar.says}, {bar.scenario}"
        print(f"  {words[bar.is_met]:8}{what:56}{found:>12}   {bar.limit}", flush=True)
