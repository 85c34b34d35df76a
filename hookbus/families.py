"""Metrics as values: a family has a name, a kind and samples with labels. Pure.

What is measured becomes families once, whoever then writes them: as Prometheus' text or as OTLP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number; *suffix* stands behind the family's name: ``_bucket``, ``_sum``, ``_count``."""

    value: float
    labels: Labels
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples; *help* is one line for people."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def gauge(name: str, help: str, value: float, **labels: str) -> Family:
    """A number that goes up and down."""
    return Family(name, "gauge", help, (Sample(value, labels),))


def counter(name: str, help: str, value: float, **labels: str) -> Family:
    """A number that only grows; by convention *name* ends in ``_total``."""
    return Family(name, "counter", help, (Sample(value, labels),))


def histogram(
    bounds: Iterable[float], counts: Iterable[int], total: float, **labels: str
) -> tuple[Sample, ...]:
    """Samples of one histogram: *counts* are per bucket, one more than *bounds*."""
    samples, seen = [], 0
    for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True):
        seen += count
        samples.append(Sample(seen, {**labels, "le": bound}, "_bucket"))
    return (*samples, Sample(total, labels, "_sum"), Sample(seen, labels, "_count"))
