"""Random hooks, scripts and events for hypothesis: small, so that they meet each other often."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
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


# data, changes and answers are tables: quick to draw, and they often meet each other

DATA: Final[tuple[dict[str, Any], ...]] = (
    {"n": 1, "s": "x", "o": {"x": 1, "y": 2}, "l": [1]},
    {"n": 2, "s": "y", "o": {"x": 1, "a/b": 0}, "l": []},
    {"s": "x", "o": {}, "l": [1, 2]},
    {"n": 0, "l": [0]},
    {},
)

#: On the first of DATA each of these changes something.
GOOD: Final[tuple[tuple[str, Any], ...]] = (
    ("patch", [{"op": "replace", "path": "/n", "value": 2}]),
    ("patch", [{"op": "add", "path": "/n", "value": 3}]),
    ("patch", [{"op": "add", "path": "/s", "value": "y"}]),
    ("patch", [{"op": "add", "path": "/s", "value": "z"}]),
    ("patch", [{"op": "add", "path": "/o/x", "value": 5}]),
    ("patch", [{"op": "add", "path": "/o/y", "value": 6}]),
    ("patch", [{"op": "add", "path": "/o/a~1b", "value": 7}]),
    ("patch", [{"op": "replace", "path": "/o", "value": 4}]),
    ("patch", [{"op": "add", "path": "/o", "value": {"x": 9}}]),
    ("patch", [{"op": "add", "path": "/l/-", "value": 7}]),
    ("patch", [{"op": "add", "path": "/l/0", "value": 8}]),
    ("patch", [{"op": "remove", "path": "/o"}]),
    ("patch", [{"op": "remove", "path": "/o/y"}, {"op": "add", "path": "/o/z", "value": None}]),
    ("patch", [{"op": "move", "from": "/o/x", "path": "/n"}]),
    ("patch", [{"op": "copy", "from": "/o", "path": "/s"}]),
    ("patch", [{"op": "replace", "path": "", "value": {"n": 1, "o": {"x": 5}}}]),
    ("merge", {"n": 3}),
    ("merge", {"o": {"x": None, "w": True}}),
    ("merge", {"o": None, "s": "y"}),
    ("merge", {"s": {"deep": {"gone": None}}}),
    ("merge", ["all", "new"]),
    ("data", {"n": 1, "s": "x", "o": {"x": 5, "y": 2}, "l": [1]}),
    ("data", {"n": "text", "l": [1, 2]}),
    ("data", {"n": True}),
    ("data", 5),
    ("data", None),
)

#: On the first of DATA each of these changes nothing, or cannot be applied.
ODD: Final[tuple[tuple[str, Any], ...]] = (
    ("patch", []),
    ("patch", [{"op": "replace", "path": "/n", "value": 1}]),
    ("patch", [{"op": "add", "path": "/o", "value": {"y": 2, "x": 1}}]),
    ("patch", [{"op": "test", "path": "/s", "value": "x"}]),
    ("patch", [{"op": "add", "path": "/t", "value": 1}, {"op": "remove", "path": "/t"}]),
    ("merge", {}),
    ("merge", {"o": {"x": 1, "none": None}}),
    ("data", {"l": [1], "n": 1, "o": {"x": 1, "y": 2}, "s": "x"}),
    ("patch", [{"op": "add", "path": "/n", "value": 2}, {"op": "remove", "path": "/missing"}]),
    ("patch", [{"op": "add", "path": "/n", "value": 2}, {"op": "test", "path": "/s", "value": 0}]),
    ("patch", [{"op": "remove", "path": "/l/7"}]),
    ("patch", [{"op": "add", "path": "/no/where", "value": 1}]),
    ("patch", [{"op": "move", "from": "/o", "path": "/o/x"}]),
    ("patch", [{"op": "fold", "path": "/n"}]),
    ("patch", [{"op": "remove"}]),
    ("patch", [3]),
    ("patch", "text"),
    ("patch", {"op": "remove", "path": "/n"}),
)

POINTERS: Final = ("", "/n", "/s", "/o", "/o/x", "/o/y", "/o/a~1b", "/l", "/l/0", "/l/-")
VALUES: Final[tuple[Any, ...]] = (0, 1, 2, "x", {"x": 1}, {}, [1], None, True)

continues = st.sampled_from(
    [
        *[Says()] * 4,
        Says(warnings=("careful",)),
        Says(annotations={"seen": "yes", "also": "no"}),
    ]
)
blocks = st.sampled_from(
    [
        Says("block"),
        Says("block", reason="no"),
        Says("block", reason="never", code="bad"),
        Says("block", reason="no", code="bad", message="please not", warnings=("careful",)),
    ]
)
fails = st.sampled_from([Fails(how) for how in FAILURES])
good = st.sampled_from([Says("intercept", change) for change in GOOD])
odd = st.sampled_from([Says("intercept", change) for change in ODD])


def _operation(op: str, path: str, source: str, value: Any) -> dict[str, Any]:
    members: dict[str, Any] = {"op": op, "path": path}
    if op in ("add", "replace"):
        members["value"] = value
    if op in ("move", "copy"):
        members["from"] = source
    return members


operations = st.builds(
    _operation,
    st.sampled_from(["add", "remove", "replace", "move", "copy"]),
    st.sampled_from(POINTERS),
    st.sampled_from(POINTERS),
    st.sampled_from(VALUES),
)
random_patches = st.lists(operations, min_size=1, max_size=3).map(
    lambda patch: Says("intercept", ("patch", patch))
)
answers_in: Final[dict[str, st.SearchStrategy[Says | Fails]]] = {
    "mutate": st.one_of(good, good, good, good, continues, odd, random_patches, fails, blocks),
    "validate": st.one_of(
        continues, continues, continues, continues, continues, blocks, fails, odd
    ),
}

#: Microseconds: at once, or some milliseconds and a bit, so that it never equals a timeout.
LATENCIES: Final = (*[0] * 12, *(ms * MS + 137 for ms in (0, 7, 20, 45, 55, 90, 180, 240, 400)))

#: When more time is asked for and how much, how long after the call.
EXTENSIONS: Final = ((137, 30), (20 * MS + 137, 100), (45 * MS + 137, 400), (190 * MS + 137, 90))


@st.composite
def steps(draw: st.DrawFn, phase: str) -> Step:
    """One reply, one time in eight with an extension before it."""
    answer, after = draw(answers_in[phase]), draw(st.sampled_from(LATENCIES))
    if draw(st.integers(0, 7)) < 7:
        return Step(answer, after)
    at, wanted_ms = draw(st.sampled_from(EXTENSIONS))
    return Step(answer, at + after + 11, (at, wanted_ms))


#: What makes a hook unlike the others, as option and value.
OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    *[("priority", 10)] * 2,
    *[("priority", 30)] * 2,
    *[("timeout_ms", 50)] * 2,
    ("timeout_ms", 1_000),
    ("timeout_ms", 5_000),
    *[("min_ms", 1)] * 2,
    ("min_ms", 103),
    *[("mode", "warn")] * 3,
    ("mode", "shadow"),
    ("mode", "off"),
    ("side_effects", "none_on_dry_run"),
    *[("side_effects", "some")] * 2,
    ("when", (Check(True),)),
    ("when", (Check(True), Check(False), Check("error"))),
    ("when", (Check("error"), Check(True))),
    *[("when", (Check(1, "n"),))] * 2,
    ("when", (Check("y", "s"), Check(2, "n"))),
    ("writable", ()),
    ("writable", ("/n", "/s")),
    *[("writable", ("/o", "/l"))] * 2,
    ("writable", ("/o/x",)),
    *[("disallow", "ignore")] * 4,
    ("rewrites", ("",)),
    ("rewrites", ("/n", "/o/x")),
    ("rewrites", ("/o",)),
    ("cache_ttl_ms", 700),
    ("cache_ttl_ms", 2_500),
    *[("retry", 1)] * 2,
    ("retry", 2),
    *[("max_extension_ms", 100)] * 2,
    ("script", ()),
    ("plugin", "a"),
)


@st.composite
def hooks(draw: st.DrawFn, name: str) -> Hook:
    """One hook with some options that are not the default."""
    phase = draw(st.sampled_from(["mutate", "mutate", "validate"]))
    script = tuple(draw(st.lists(steps(phase), min_size=1, max_size=3)))
    options = dict(draw(st.lists(st.sampled_from(OPTIONS), max_size=6)))
    if phase == "mutate":  # a cache is for validate hooks only
        options.pop("cache_ttl_ms", None)
    options |= {
        "on_failure": draw(st.sampled_from(["open", "closed"])),
        "reinvoke": draw(st.sampled_from(["if_needed", "never"])),
    }
    return replace(Hook(name, f"hook-{name}", phase, script, min_ms=51), **options)


def _mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual one in three of four cases."""
    return st.sampled_from([usual] * (3 * len(others)) + list(others))


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
    names = NAMES[: draw(st.sampled_from([0, 1, 2, 3, 3, 4, 4, 5, 6]))]
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
        data=draw(st.sampled_from(DATA[:1] * 4 + DATA)),
        timeout_ms=draw(st.sampled_from([1_007, 1_007, 1_007, 3_001, 3_001, 523, 211, 73, 10])),
        principal=draw(_mostly("chat", "a")),
        chain=draw(_mostly((), ("z",), ("a", "b", "c", "d", "e"), ("a", "b", "c", "d", "a"))),
        dry_run=draw(_mostly(False, True)),
    )


@st.composite
def sequences(draw: st.DrawFn) -> Sequence[tuple[Event, int]]:
    """Events one after another, with pauses that let breakers half-open; some come twice."""
    ids = draw(st.lists(st.integers(0, 5), min_size=2, max_size=8))
    pauses = st.sampled_from([0, 150 * MS, 1_050 * MS, 2_100 * MS])
    data = draw(st.sampled_from(DATA))
    found = []
    for number in ids:
        event = draw(events(f"e{number}"))
        if draw(st.booleans()):  # the verdict cache and R26 need the same again
            event = Event(event.id, data)
        found.append((event, draw(pauses)))
    return found
