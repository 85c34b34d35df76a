"""python -m tests.bench.explain: how long `hookbus decisions explain ID` takes among a million.

Fills the stream of decisions on a nats-server of its own with records as a dispatcher writes them,
then runs the real command: for ids from all over the stream, in full and in short, for an id that
is not there, and for an event's id. Each answer is checked. Beside it stands what the same command
takes that has nothing to search for: Python's start and imports. Exit code 1 if the median of the
ids that are there is above the bar, 1 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from uuid_utils import uuid7

from hookbus import subjects
from hookbus.broker import EmbeddedBroker
from hookbus.decision_log.records import short_id
from hookbus.models import Decision, EventRef, Outcome, PluginRecord
from hookbus.streams import NatsStreams, StreamSpec
from hookbus.transport import NatsTransport
from hookbus.wire.decision import encode_record

BAR: Final = 1.0  # seconds
RECORDS: Final = 1_000_000
KEPT: Final = 997  # every so manieth id is remembered, to be looked for
BURST: Final = 500  # records between two looks at what the stream has taken
MAX_AHEAD: Final = 50_000  # records that may be under way
OUTCOMES: Final[tuple[Outcome, ...]] = ("continue",) * 7 + ("intercept",) * 2 + ("block",)
TYPES: Final = ("message_received", "tool_invoked", "response_generated")
SPEC: Final = StreamSpec(
    subjects.DECISIONS_STREAM,
    subjects.STREAM_SUBJECTS[subjects.DECISIONS_STREAM],
    max_age=7 * 86_400.0,
    max_bytes=8 * 1024**3,
)


def plugin_record(dice: random.Random, name: str, phase: str, outcome: Outcome) -> PluginRecord:
    is_change = phase == "mutate" and outcome == "intercept"
    is_block = phase == "validate" and outcome == "block"
    return PluginRecord(
        plugin=name,
        hook="every-event",
        version="1.4.2",
        phase=phase,
        verdict="block" if is_block else "intercept" if is_change else "continue",
        code="dangerous_command" if is_block else None,
        reason="rm with -r and -f on a path outside the workspace" if is_block else None,
        ms=round(dice.lognormvariate(0.5, 0.8), 3),
        mutated=is_change,
        pointers=("/args/command",) if is_change else (),
        patch_hash=dice.randbytes(32).hex() if is_change else None,
    )


def decisions(count: int, seed: int = 1) -> Iterator[Decision]:
    """Make decisions as a bus with three plugins makes them, each with an id of this moment."""
    dice = random.Random(seed)
    for number in range(count):
        outcome = dice.choice(OUTCOMES)
        asked = (("redact-secrets", "mutate"), ("guard-tools", "validate"), ("limits", "validate"))
        is_block = outcome == "block"
        yield Decision(
            id=str(uuid7()),
            event=EventRef(dice.randbytes(16).hex(), "/agent", TYPES[number % len(TYPES)]),
            outcome=outcome,
            principal="agent",
            cause="verdict" if is_block else None,
            code="dangerous_command" if is_block else None,
            by="guard-tools" if is_block else None,
            reason="guard-tools: rm with -r and -f" if is_block else None,
            records=tuple(plugin_record(dice, name, phase, outcome) for name, phase in asked),
            generation=12,
            trace_id=dice.randbytes(16).hex(),
        )


async def fill(url: str, count: int) -> list[Decision]:
    """Write *count* decisions to the stream; return some of them, oldest first."""
    transport = await NatsTransport.connect(url, principal="dispatcher")
    kept: list[Decision] = []
    try:
        await NatsStreams(transport).ensure_stream(SPEC)
        for number, decision in enumerate(decisions(count)):
            subject = subjects.decision(decision.outcome, decision.event.type)
            await transport.publish(subject, encode_record(decision))
            if number % KEPT == 0 or number == count - 1:
                kept.append(decision)
            if number % BURST == 0:
                await _until_stored(transport, number - MAX_AHEAD)
        await _until_stored(transport, count)
    finally:
        await transport.close()
    return kept


async def _until_stored(transport: NatsTransport, count: int) -> None:
    await transport.flush()
    while count > 0 and await _stored(transport) < count:
        await asyncio.sleep(0.01)


async def _stored(transport: NatsTransport) -> int:
    subject = subjects.stream_info(SPEC.name)
    reply = await transport.request(subject, b"", timeout=30.0)
    messages: int = msgspec.json.decode(reply.data)["state"]["messages"]
    return messages


def explain(url: str, reference: str) -> tuple[float, dict[str, object] | None]:
    """Run the real command; return the seconds it took, and what it printed."""
    command = [sys.executable, "-m", "hookbus", "decisions", "explain", reference, "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "HOOKBUS_NATS_URL": url}, capture_output=True, check=False
    )
    took = time.perf_counter() - started
    return took, msgspec.json.decode(done.stdout) if done.returncode == 0 else None


def look_for(url: str, kept: Sequence[Decision], rounds: int) -> Iterator[tuple[float, float]]:
    """Explain decisions from all over the stream by id; yield how long that and nothing took."""
    chosen = [kept[index * (len(kept) - 1) // max(1, rounds - 1)] for index in range(rounds)]
    for number, decision in enumerate(chosen):
        reference = short_id(decision.id) if number % 2 else decision.id
        seconds, found = explain(url, reference)
        if found is None or found["id"] != decision.id:
            sys.exit(f"{reference}: the wrong decision was explained, or none")
        yield seconds, explain(url, "")[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.explain", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=15, help="ids that are looked for")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="hookbus-bench-") as folder,
        EmbeddedBroker.start(data_dir=Path(folder)) as broker,
    ):
        started = time.perf_counter()
        kept = asyncio.run(fill(broker.url, options.records))
        print(f"{options.records} decisions written in {time.perf_counter() - started:.0f} s")
        took, nothing = zip(*look_for(broker.url, kept, options.rounds), strict=True)
        median = statistics.median(took)
        print(
            f"explain by id: median {median:.3f} s, max {max(took):.3f} s; {len(took)} ids;"
            f" of these {statistics.median(nothing):.3f} s are Python's start and imports"
        )
        seconds, _ = explain(broker.url, str(uuid7()))
        print(f"an id that is not there: {seconds:.1f} s")
        seconds, found = explain(broker.url, kept[len(kept) // 2].event.id)
        print(f"an event's id: {seconds:.1f} s, {'found' if found else 'NOT FOUND'}")
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # KiB on Linux
        print(f"no command took more than {most:.0f} MiB")
    sys.exit(median > BAR)


if __name__ == "__main__":
    main()
