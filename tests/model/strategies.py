"""Random hooks, scripts and events for hypothesis: small, so that they meet each other often."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.model.values import MS, Check, Event, Fails, Hook, Says, Settings, Step, Type

NAMES: Final = ("a", "b", "c", "d", "e", "f")
FAILURES: Final = (
    "silence",
    "spoof",
    "service_error",
    "overloaded",
    "malformed",
    "uid_mismatch",
    "unknown_verdict",
    "reply_too_large",
)


def examples(count: int) -> settings:
    """A fixed set of examples; with ``HOOKBUS_EXAMPLES=n``, *n* times as many, at random."""
    factor = int(os.environ.get("HOOKBUS_EXAMPLES", "0"))
    return settings(
        max_examples=count * max(1, factor),
        derandomize=not factor,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# data: {"n": 1, "s": "x", "o": {"x": 1, "y": 2}, "l": [1]}, or less

numbers = st.integers(0, 2)
words = st.sampled_from(["x", "y"])
objects = st.dictionaries(st.sampled_from(["x", "y", "a/b"]), numbers, max_size=2)
members = numbers | words | objects | st.lists(numbers, max_size=2) | st.none() | st.booleans()
documents = st.fixed_dictionaries(
    {}, optional={"n": numbers, "s": words, "o": objects, "l": st.lists(numbers, max_size=2)}
)

pointers = st.sampled_from(["", "/n", "/s", "/o", "/o/x", "/o/y", "/o/a~1b", "/l", "/l/0", "/l/-"])


def _operation(op: str, path: str, source: str, value: Any) -> dict[str, Any]:
    members: dict[str, Any] = {"op": op, "path": path}
    if op in ("add", "replace", "test"):
        members["value"] = value
    if op in ("move", "copy"):
        members["from"] = source
    return members


simple = st.builds(
    _operation,
    st.sampled_from(["add", "add", "replace"]),
    st.sampled_from(["/n", "/s", "/o", "/o/x", "/o/y"]),
    st.just(""),
    numbers | words,
)
any_operation = st.builds(
    _operation,
    st.sampled_from(["add", "remove", "replace", "move", "copy"]),
    pointers,
    pointers,
    members,
)
no_patches: st.SearchStrategy[Any] = st.sampled_from(
    ["text", {"op": "remove"}, [{"op": "remove"}], [{"op": "fold", "path": "/n"}], [3]]
)
patches = st.lists(simple, max_size=2) | st.lists(any_operation, max_size=2)
growing = st.just([{"op": "add", "path": "/l/-", "value": 7}])
changes: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("patch"), patches),
    st.tuples(st.just("patch"), patches),
    st.tuples(st.just("patch"), growing),
    st.tuples(st.just("patch"), no_patches),
    st.tuples(st.just("merge"), st.dictionaries(st.sampled_from(["n", "s", "o"]), members)),
    st.tuples(st.just("data"), documents | members),
)

# what plugins say, and when; a latency never equals a timeout: see calls.Tie

continues = st.builds(
    Says,
    warnings=st.sampled_from([(), (), ("careful",)]),
    annotations=st.sampled_from([{}, {"seen": "yes"}]),
)
blocks = st.builds(
    Says,
    verdict=st.just("block"),
    reason=st.sampled_from(["", "no", "never"]),
    code=st.none() | st.just("bad"),
    message=st.none() | st.just("please not"),
    warnings=st.sampled_from([(), ("careful",)]),
)
intercepts = st.builds(Says, verdict=st.just("intercept"), change=changes)
fails = st.builds(Fails, st.sampled_from(FAILURES))


def latencies(longest_ms: int) -> st.SearchStrategy[int]:
    """Microseconds: at once, or so many milliseconds and a bit."""
    return st.just(0) | st.integers(0, longest_ms).map(lambda ms: ms * MS + 137)


def steps(phase: str) -> st.SearchStrategy[Step]:
    mostly = intercepts if phase == "mutate" else continues
    answers = st.one_of(mostly, mostly, continues, mostly, continues, blocks, fails, intercepts)
    plain = st.builds(Step, answers, latencies(400))
    extending = st.builds(
        lambda says, at, ms, more: Step(says, at + more, (at, ms)),
        answers,
        latencies(60),
        st.integers(1, 200),
        latencies(200).map(lambda after: after + 11),
    )
    return st.one_of(plain, plain, plain, plain, extending)


checks = st.one_of(
    st.builds(Check, st.just(True)),
    st.builds(Check, st.just(True)),
    st.builds(Check, st.just(False)),
    st.builds(Check, st.just("error")),
    st.builds(Check, numbers, st.just("n")),
    st.builds(Check, words, st.just("s")),
)


def _mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual one in three of four cases."""
    return st.sampled_from([usual] * (3 * len(others)) + list(others))


@st.composite
def hooks(draw: st.DrawFn, name: str) -> Hook:
    """One hook; its place in the list is its name."""
    phase = draw(st.sampled_from(["mutate", "mutate", "validate"]))
    script = draw(st.lists(steps(phase), min_size=1, max_size=3))
    lists = st.lists(pointers, max_size=2).map(tuple)
    return Hook(
        plugin=draw(_mostly(name, "a")),
        name=f"hook-{name}",
        phase=phase,
        script=() if draw(st.integers(0, 15)) == 7 else tuple(script),
        priority=draw(st.sampled_from([10, 20, 20, 30])),
        timeout_ms=draw(st.sampled_from([50, 200, 200, 1_000, 5_000])),
        min_ms=draw(st.sampled_from([1, 51, 103])),
        on_failure=draw(st.sampled_from(["closed", "open", "open"])),
        mode=draw(_mostly("enforce", "warn", "off", "shadow")),
        reinvoke=draw(st.sampled_from(["never", "if_needed"])),
        side_effects=draw(_mostly("none", "none_on_dry_run", "some")),
        when=tuple(draw(_mostly(st.just(()), st.lists(checks, max_size=2)).flatmap(_same))),
        writable=draw(_mostly(st.just(("",)), lists).flatmap(_same)),
        rewrites=draw(_mostly(st.just(()), lists).flatmap(_same)),
        disallow=draw(st.sampled_from(["error", "ignore"])),
        cache_ttl_ms=draw(_mostly(0, 700)) if phase == "validate" else 0,
        retry=draw(_mostly(0, 1, 2)),
        max_extension_ms=draw(st.sampled_from([0, 100])),
    )


def _same(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return strategy


types = st.builds(
    Type,
    conflict=_mostly("last_wins", "block"),
    on_not_converged=st.sampled_from(["block", "accept"]),
    max_rounds=st.sampled_from([1, 2, 2, 3]),
    wants_number=_mostly(False, True),
)


@st.composite
def buses(draw: st.DrawFn) -> Settings:
    """One generation with up to six hooks."""
    names = NAMES[: draw(st.integers(0, 6))]
    return Settings(
        hooks=tuple(draw(hooks(name)) for name in draw(st.permutations(names))),
        type=draw(types),
        breaker_failures=draw(st.sampled_from([1, 2, 5])),
        idempotency=draw(_mostly(True, False)),
    )


@st.composite
def events(draw: st.DrawFn, id: str = "e") -> Event:
    """One event; whatever schema there is, its data fits."""
    return Event(
        id=id,
        data=draw(documents),
        timeout_ms=draw(st.sampled_from([10, 73, 211, 1_007, 3_001])),
        principal=draw(_mostly("chat", "a")),
        chain=draw(_mostly((), ("z",), ("a", "b", "c", "d", "e"), ("a", "b", "c", "d", "a"))),
        dry_run=draw(_mostly(False, True)),
    )


@st.composite
def sequences(draw: st.DrawFn) -> Sequence[tuple[Event, int]]:
    """Events one after another, with pauses that let breakers half-open; some come twice."""
    ids = draw(st.lists(st.integers(0, 5), min_size=2, max_size=8))
    pauses = st.sampled_from([0, 150 * MS, 1_050 * MS, 2_100 * MS])
    data = draw(documents)
    found = []
    for number in ids:
        event = draw(events(f"e{number}"))
        if draw(st.booleans()):  # the verdict cache and R26 need the same again
            event = Event(event.id, data)
        found.append((event, draw(pauses)))
    return found
