"""What a soak comes to: a table, and what breaks a bar. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.soak.memory import MIB, slope
from tests.soak.run import Outcome

MOST_SLOPE: Final = 1.0  # MiB per 50,000 events
LONG: Final = 600.0  # seconds from which on a slope must be told
MOST_ODD: Final = 0.001  # of all decisions


def problems(outcome: Outcome) -> list[str]:
    """Say what breaks a bar; empty is good."""
    return list(_problems(outcome))


def _problems(outcome: Outcome) -> Iterator[str]:
    verdicts, tally, recorded = outcome.verdicts, outcome.tally, outcome.recorded
    if not verdicts.judged:
        yield "nothing was decided"
    if verdicts.wrong:
        yield f"{len(verdicts.wrong)} decisions are wrong, of which the first:"
        yield from verdicts.wrong[:3]
    odd = sum(verdicts.odd.values()) + tally.late
    if odd > max(1, MOST_ODD * verdicts.judged):
        yield f"{odd} failures that nothing explains: {dict(verdicts.odd)}, {tally.late} late"
        yield from verdicts.oddities
    if tally.lost_oddly:
        yield f"{len(tally.lost_oddly)} emits got no decision while no dispatcher was killed:"
        yield from tally.lost_oddly[:3]
    if recorded.missing:
        yield f"{recorded.missing} decisions are not in the stream"
    if recorded.twice:
        yield f"{recorded.twice} decisions are in the stream more than once"
    if recorded.other:
        yield f"{len(recorded.other)} are recorded otherwise than decided: {recorded.other[:3]}"
    if outcome.waiting:
        yield f"{outcome.waiting} messages still wait for observers"
    if outcome.unobserved:
        yield f"{outcome.unobserved} events were never shown to the observer"
    slopes = {name: slope(samples) for name, samples in outcome.held.samples.items()}
    if outcome.plan.seconds >= LONG and not any(
        name.startswith("dispatcher") and grows is not None for name, grows in slopes.items()
    ):
        yield "no dispatcher decided enough events for the slope of its memory to be told"
    for name, grows in slopes.items():
        if grows is not None and grows >= MOST_SLOPE:
            yield f"{name} grows by {grows:.2f} MiB per 50,000 events"
    for name, rests in outcome.held.rests.items():
        for what in ("descriptors", "tasks"):
            found = [getattr(rest, what) for rest in rests]
            if grown(found):
                yield f"{name}: {what} at rest were {found}"


def grown(counts: list[int]) -> bool:
    """Tell whether it was always more later than it ever was before; one look may see one more."""
    half = len(counts) // 2
    if half < 2:
        return counts[-1] > counts[0] + 1
    return min(counts[-half:]) > max(counts[:half])


def table(outcome: Outcome) -> str:
    """The figures, a line each."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    verdicts, tally, recorded = outcome.verdicts, outcome.tally, outcome.recorded
    yield f"\n{tally.emitted} emitted, {tally.decided} decided in {outcome.seconds:.0f} s"
    yield f"wrong {len(verdicts.wrong)}, late {tally.late}, held back {tally.held_back}"
    yield f"lost {tally.lost} beside a killed dispatcher, {len(tally.lost_oddly)} otherwise"
    yield f"outcomes: {_counts(verdicts.outcomes)}"
    yield f"the world did: {_counts(verdicts.excused)}"
    yield f"unexplained: {_counts(verdicts.odd)}"
    yield (
        f"no core free for {outcome.starved:.0f} s; then unexplained: {_counts(verdicts.starved)},"
        f" late {tally.late_starved}, lost {tally.lost_starved}"
    )
    yield f"faults: {_counts(outcome.faults.counts())}"
    yield f"changes: {outcome.changes}, last generation {outcome.generation}"
    yield (
        f"recorded: {recorded.messages}, missing {recorded.missing}, twice {recorded.twice},"
        f" other {len(recorded.other)}, decided for nobody {recorded.unknown}"
    )
    yield f"observers: {outcome.waiting} messages wait, {outcome.unobserved} never shown"
    yield f"dispatchers counted: {_counts(outcome.counters)}"
    for name, samples in outcome.held.samples.items():
        if len(samples) < 10:
            continue
        grows = slope(samples)
        told = "too few events for a slope" if grows is None else f"{grows:+.2f} MiB per 50,000"
        first, last = samples[0], samples[-1]
        yield (
            f"{name}: {first.rss / MIB:.1f} to {last.rss / MIB:.1f} MiB,"
            f" {last.events} events, {told}"
        )
    for name, rests in outcome.held.rests.items():
        if len(rests) > 1:
            tasks = [rest.tasks for rest in rests]
            yield f"{name} at rest: descriptors {[r.descriptors for r in rests]}, tasks {tasks}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
