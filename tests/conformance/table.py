"""The cases of ``cases.toml``, read and checked. Pure."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

CASES: Final = Path(__file__).with_name("cases.toml")
TYPE: Final = "thing_happened"  # the event type of a case that says nothing else: any JSON

_ID: Final = re.compile(r"([A-M]\d\d|X-[A-Z]+\d*-\d+)(-[a-z]+)?")
_COUNTED: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")
_ABOUT: Final = frozenset(("text", "plugins", "settings", "type", "scale", "elsewhere", "memory"))
#: What an emit may be compared with.
EMITTED: Final = frozenset(
    (
        "expect",
        "reason",
        "message",
        "reasons",
        "records",
        "data",
        "warnings",
        "conflicts",
        "others",
        "masked",
        "trace",
        "elapsed",
        "below",
        "annotations",
        "hashes",
        "took",
    )
)
#: What the whole case may be compared with, at its end.
PLAYED: Final = frozenset(
    (
        "calls",
        "sees",
        "told",
        "dry",
        "chains",
        "traced",
        "counters",
        "shadow",
        "recorded",
        "observed",
        "hidden",
        "answers",
        "served",
    )
)
WORDS: Final = (
    "emit",
    "begin",
    "await",
    "wait",
    "join",
    "appear",
    "vanish",
    "leave",
    "kill",
    "announce",
    "say",
    "control",
    "cut",
    "mend",
    "dispatcher",
    "deny",
    "halt",
    "registry",
    "same",
    "alike",
    "generation",
    "wait_generation",
    "ready",
)


class TableError(ValueError):
    """A case that cannot be read."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens: its word, what the word is given, and what must come of it."""

    word: str
    given: Any
    rest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        scale: by what all times are multiplied on a real server.
        elsewhere: ``"<issue>: <what>"`` for each part that another issue proves.
        is_elsewhere: all of it.
        memory: why only the broker in memory can play it, or None.
    """

    id: str
    text: str
    plugins: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    expected: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    elsewhere: tuple[str, ...] = ()
    is_elsewhere: bool = False
    memory: str | None = None

    @property
    def number(self) -> str:
        """The case that this is, or is a variant of: ``"B08-open" → "B08"``"""
        return self.id if self.id.startswith("X") else self.id.partition("-")[0]

    def has(self, *words: str) -> bool:
        """Tell whether a step has one of *words*."""
        return any(step.word in words for step in self.steps)


def load_cases(path: Path = CASES) -> tuple[Case, ...]:
    """Read the table, in its order.

    Raises:
        TableError: It says something that nobody would look at.
    """
    table = tomllib.loads(path.read_text())
    return tuple(_case(case_id, entry) for case_id, entry in table.items())


def _case(case_id: str, entry: dict[str, Any]) -> Case:
    if not _ID.fullmatch(case_id):
        raise TableError(f"{case_id}: expected an id such as 'A01' or 'X-R10-1'")
    unknown = entry.keys() - _ABOUT - EMITTED - PLAYED - {"steps", "emit"}
    if unknown:
        raise TableError(f"{case_id}: unknown keys {sorted(unknown)}")
    of_emit = {key: value for key, value in entry.items() if key in EMITTED}
    if "steps" in entry and (of_emit or "emit" in entry):
        raise TableError(f"{case_id}: with steps, {sorted(of_emit)} belong to a step")
    expected = {key: value for key, value in entry.items() if key in PLAYED}
    is_elsewhere = not of_emit and not expected and "steps" not in entry
    steps = [_step(case_id, step) for step in entry.get("steps", ())]
    if "steps" not in entry and not is_elsewhere:
        steps = [Step("emit", entry.get("emit", {}), of_emit)]
    if is_elsewhere and not entry.get("elsewhere"):
        raise TableError(f"{case_id}: expects nothing")
    return Case(
        case_id,
        entry["text"],
        tuple(chain.from_iterable(map(_counted, entry.get("plugins", ())))),
        _settings(entry),
        tuple(steps),
        expected,
        entry.get("scale", 1.0),
        tuple(entry.get("elsewhere", ())),
        is_elsewhere,
        entry.get("memory"),
    )


def _counted(line: str) -> list[str]:
    """``"p{1..3}(v)"`` → ``p1(v) p2(v) p3(v)``"""
    match = _COUNTED.search(line)
    if match is None:
        return [line]
    numbers = range(int(match[1]), int(match[2]) + 1)
    return [line.replace(match[0], str(number), 1) for number in numbers]


def _step(case_id: str, entry: dict[str, Any]) -> Step:
    words = [word for word in WORDS if word in entry]
    if len(words) != 1:
        raise TableError(f"{case_id}: expected one of {WORDS} in {entry}")
    rest = {key: value for key, value in entry.items() if key != words[0]}
    unknown = rest.keys() - EMITTED - {"as", "times", "with", "answer"}
    if unknown:
        raise TableError(f"{case_id}: unknown keys {sorted(unknown)} in {entry}")
    return Step(words[0], entry[words[0]], rest)


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    settings = dict(entry.get("settings", {}))
    types = {TYPE: entry.get("type", {}), **settings.get("types", {})}
    return {**settings, "types": types}
