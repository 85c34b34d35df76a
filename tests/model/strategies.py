"""Random hooks, scripts and events for hypothesis: small, so that they meet each other often.

The random numbers are a seeded `random.Random`, which is quick and keeps to the odds written here,
but which hypothesis cannot shrink. ``HOOKBUS_EXAMPLES=20`` tries twenty times as many examples,
each time others; with ``HOOKBUS_SHRINK=1`` hypothesis makes up every number, and can shrink it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.model.values import MS, Check, Event, Fails, Hook, Says, Settings, Step, Type

NAMES: Final = ("a", "b", "c", "d", "e", "f")


def examples(count: int) -> settings:
    """A fixed set of examples, or many at random."""
    factor = int(os.environ.get("HOOKBUS_EXAMPLES", "0"))
    return settings(
        max_examples=count * max(1, factor),
        derandomize=not factor,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


randoms = st.randoms(use_true_random="HOOKBUS_SHRINK" not in os.environ)

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

CONTINUES: Final = (
    *[Says()] * 4,
    Says(warnings=("careful",)),
    Says(annotations={"b": "1", "a": ""}),
)
BLOCKS: Final = (
    Says("block"),
    Says("block", reason="no"),
    Says("block", reason="never", code="bad"),
    Says("block", reason="no", code="bad", message="please not", warnings=("careful",)),
)
FAILURES: Final = (
    "silence",
    "spoof",
    "old_attempt",
    "service_error",
    "overloaded",
    "malformed",
    "uid_mismatch",
    "unknown_verdict",
    "reply_too_large",
)
#: Of what kind an answer is, in which phase.
ANSWERS: Final = {
    "mutate": [*["good"] * 13, *["continue"] * 2, *["odd"] * 2, "random", "fails", "block"],
    "validate": [*["continue"] * 7, "block", "fails", "odd"],
}


def _answer(random: Random, phase: str) -> Says | Fails:
    match random.choice(ANSWERS[phase]):
        case "good":
            return Says("intercept", random.choice(GOOD))
        case "odd":
            return Says("intercept", random.choice(ODD))
        case "random":
            patch = [_operation(random) for _ in range(random.randint(1, 3))]
            return Says("intercept", ("patch", patch))
        case "continue":
            return random.choice(CONTINUES)
        case "block":
            return random.choice(BLOCKS)
    return Fails(random.choice(FAILURES))


def _operation(random: Random) -> dict[str, Any]:
    op = random.choice(["add", "remove", "replace", "move", "copy"])
    members: dict[str, Any] = {"op": op, "path": random.choice(POINTERS)}
    if op in ("add", "replace"):
        members["value"] = random.choice(VALUES)
    if op in ("move", "copy"):
        members["from"] = random.choice(POINTERS)
    return members


#: Microseconds: at once, or some milliseconds and a bit, so that it never equals a timeout.
LATENCIES: Final = (
    *[0] * 18,
    *[ms * MS + 137 for ms in (0, 7, 20, 45, 55, 90, 180, 240, 400)],
)
#: When more time is asked for, after the call in microseconds, and how many milliseconds.
EXTENSIONS: Final = ((137, 30), (20 * MS + 137, 100), (45 * MS + 137, 400), (190 * MS + 137, 90))


def _step(random: Random, phase: str) -> Step:
    """One reply, one time in ten with an extension before it."""
    answer, after = _answer(random, phase), random.choice(LATENCIES)
    if random.randrange(10):
        return Step(answer, after)
    at, wanted_ms = random.choice(EXTENSIONS)
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
    *[("side_effects", "none_on_dry_run")] * 3,
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
    *[("cache_ttl_ms", 700)] * 2,
    *[("cache_ttl_ms", 2_500)] * 4,
    ("cache_key", ("/n",)),
    ("cache_key", ("/o/x", "/s")),
    *[("retry", 1)] * 4,
    ("retry", 2),
    *[("max_extension_ms", 100)] * 2,
    ("script", ()),
    ("plugin", "a"),
)


def _hook(random: Random, name: str) -> Hook:
    """One hook with some options that are not the default."""
    phase = random.choice(["mutate", "mutate", "mutate", "validate", "validate"])
    script = tuple(_step(random, phase) for _ in range(random.randint(1, 3)))
    options = dict(random.choice(OPTIONS) for _ in range(random.randint(0, 5)))
    if phase == "mutate":
        options.pop("cache_ttl_ms", None)  # for validate hooks only
        options.pop("cache_key", None)
    options |= {
        "on_failure": random.choice(["open", "closed"]),
        "reinvoke": random.choice(["if_needed", "never"]),
    }
    return replace(Hook(name, f"hook-{name}", phase, script, min_ms=51), **options)


def _type(random: Random) -> Type:
    return Type(
        conflict=random.choice(["last_wins"] * 3 + ["block"]),
        on_not_converged=random.choice(["block", "accept"]),
        max_rounds=random.choice([1, 2, 2, 2, 3]),
        wants_number=random.randrange(4) == 0,
    )


def make_bus(random: Random) -> Settings:
    """One generation with up to six hooks, in any order."""
    names = list(NAMES[: random.choice([0, 1, 2, 3, 3, 4, 4, 5, 6])])
    random.shuffle(names)
    return Settings(
        hooks=tuple(_hook(random, name) for name in names),
        type=_type(random),
        breaker_failures=random.choice([1, 2, 5]),
        idempotency=random.randrange(4) > 0,
    )


#: The last two are a name too long; the one before them only if "a" is bound and emits it.
CHAINS: Final = (("z",), ("a",), tuple("bcdez"), tuple("zzzzzz"), tuple("abcdea"))


def make_event(random: Random, id: str) -> Event:
    """One event; whatever schema there is, its data fits."""
    return Event(
        id=id,
        data=random.choice(DATA[:1] * 5 + DATA),
        timeout_ms=random.choice([1_007, 1_007, 1_007, 3_001, 3_001, 523, 211, 211, 73, 10]),
        principal=random.choice(["chat"] * 8 + ["mail"] * 2 + ["a"]),
        chain=random.choice([*[()] * 45, *CHAINS]),
        dry_run=random.randrange(10) == 0,
    )


def make_sequence(random: Random) -> Sequence[tuple[Event, int]]:
    """Events one after another, with pauses that let breakers half-open; some come twice."""
    data = random.choice(DATA)
    found = []
    for _ in range(random.randint(2, 8)):
        name = f"e{random.randrange(8)}"
        # the verdict cache and R26 need the same again
        event = make_event(random, name) if random.randrange(2) else Event(name, data)
        found.append((event, random.choice([0, 0, 150 * MS, 1_050 * MS, 2_100 * MS])))
    return found


# named functions, so that hypothesis prints what was made and not how


@st.composite
def buses(draw: st.DrawFn) -> Settings:
    return make_bus(draw(randoms))


@st.composite
def events(draw: st.DrawFn) -> Event:
    return make_event(draw(randoms), "e")


@st.composite
def sequences(draw: st.DrawFn) -> Sequence[tuple[Event, int]]:
    return make_sequence(draw(randoms))
