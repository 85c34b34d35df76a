"""Histograms of durations, as dispatchers answer them: added up, taken apart, read. Pure.

A histogram is ``{"count": 2, "sum_ms": 3.1, "counts": [0, …]}`` with one count more than there are
bounds: :class:`hookbus.measures.Histogram` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any


def merged(histograms: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up histograms with the same bounds; of none: an empty one, without counts.

    Raises:
        ValueError: They have not as many buckets as each other.
    """
    found = list(histograms)
    counts = [sum(bucket) for bucket in zip(*(h["counts"] for h in found), strict=True)]
    return {"count": sum(counts), "sum_ms": sum(h["sum_ms"] for h in found), "counts": counts}


def since(later: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what came between two samples of one histogram; it only grows.

    A later one that is smaller is that of a new process: all of it came since.
    """
    pairs = zip(later["counts"], earlier["counts"] if earlier else (), strict=False)
    counts = [now - before for now, before in pairs]
    if earlier is None or len(counts) != len(later["counts"]) or min(counts, default=0) < 0:
        return dict(later)
    sum_ms = max(0.0, later["sum_ms"] - earlier["sum_ms"])
    return {"count": sum(counts), "sum_ms": sum_ms, "counts": counts}


def percentile(
    histogram: Mapping[str, Any], bounds_ms: Sequence[float], share: float
) -> float | None:
    """Return the milliseconds that *share* (0 … 1) of the durations did not exceed.

    Linear inside a bucket, so it is an estimate; what lies behind the last bound is said to be
    that bound. None when nothing was measured.
    """
    counts: Sequence[int] = histogram["counts"]
    rank = share * sum(counts)
    for index, reached in enumerate(accumulate(counts)):
        if counts[index] and reached >= rank:
            if index >= len(bounds_ms):
                break
            lower = bounds_ms[index - 1] if index else 0.0
            inside = (rank - (reached - counts[index])) / counts[index]
            return lower + (bounds_ms[index] - lower) * inside
    return bounds_ms[-1] if any(counts) else None
