"""What was measured: medians over the rounds, and medians of each round's ratio."""

from __future__ import annotations

import statistics

#: By name: microseconds, events a second.
Figures = dict[str, float]
#: By contestant, then ``one`` (at a time) or ``many`` (in flight): a round each.
Results = dict[str, dict[str, list[Figures]]]


def median(results: Results, name: str, load: str, key: str) -> float | None:
    """The median of the rounds; None where that was not measured."""
    rounds = results.get(name, {}).get(load, [])
    if not rounds or key not in rounds[0]:
        return None
    return statistics.median(figures[key] for figures in rounds)


def ratio(results: Results, name: str, base: str, load: str, key: str) -> float | None:
    """The median of the rounds' ratios; None where one of the two was not measured."""
    if median(results, name, load, key) is None or median(results, base, load, key) is None:
        return None
    pairs = zip(results[name][load], results[base][load], strict=True)
    return statistics.median(one[key] / other[key] for one, other in pairs)
