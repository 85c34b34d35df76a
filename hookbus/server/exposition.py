"""Prometheus' text format 0.0.4, written. Pure.

It is three kinds of lines; prometheus_client, which writes them too, brings a registry of its own
with this process's numbers in it and an HTTP server. The tests read what is written here with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

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


def exposition(families: Iterable[Family]) -> bytes:
    """Write the body of an answer to ``GET /metrics``."""
    return "".join(line + "\n" for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}"


def _labels(labels: Labels) -> str:
    pairs = (f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) else str(value)
