"""What each plugin does when it is asked: a function of the seed and of what it is asked. Pure.

Plugin processes and the judge share it, so nobody has to remember what was answered. What a plugin
saw, and of which event, is in its verdict's annotations: the judge works out both for itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any, Final

from tests.model.calls import SILENT
from tests.model.strategies import BLOCKS, CONTINUES, FAILURES, GOOD, ODD
from tests.model.values import MS, Fails, Says, Step

VERSION: Final = "1.0.0"
TYPE: Final = "soak_ran"
#: By plugin: whether it speaks the protocol by hand, and its hooks with their phases.
PLUGINS: Final[dict[str, tuple[bool, dict[str, str]]]] = {
    "amend": (False, {"change": "mutate"}),
    "brush": (True, {"change": "mutate", "judge": "validate"}),
    "check": (True, {"judge": "validate"}),
    "dwell": (False, {"change": "mutate", "judge": "validate", "watch": "observe"}),
    "fussy": (True, {"change": "mutate", "judge": "validate"}),
}
#: One plugin of so many has its bad moments: nearly all it does for so many events is wrong.
BAD_SHARE: Final = 0.03
BAD_EVENTS: Final = 64

#: What is done by whom who speaks by hand, and by whom the SDK speaks for.
_FAILURES: Final = {True: FAILURES, False: ("service_error", "service_error", "silence")}
_ODDS: Final = {
    "mutate": (("good", 60), ("continue", 30), ("odd", 4), ("fails", 2), ("block", 3)),
    "validate": (("continue", 91), ("good", 1), ("fails", 2), ("block", 5)),
}
#: Microseconds until the answer: mostly at once, some near a timeout or behind it.
_LATENCIES: Final = (*[0] * 290, *[ms * MS for ms in (1, 2, 5, 20, 60, 140, 160, 280, 320, 600)])
#: When more time is asked for, and how many milliseconds.
_EXTENSIONS: Final = ((0, 100), (20 * MS, 200), (100 * MS, 400))


@dataclass(frozen=True)
class Question:
    """What a plugin is asked: all that its answer may depend on.

    Attributes:
        round, attempt: 0 where the SDK does not tell its handler.
    """

    plugin: str
    hook: str
    event: str
    data: Any
    round: int = 0
    attempt: int = 0

    @property
    def phase(self) -> str:
        return PLUGINS[self.plugin][1][self.hook]

    @property
    def is_by_hand(self) -> bool:
        return PLUGINS[self.plugin][0]


@dataclass(frozen=True)
class Act:
    """What is done. *twice*: a Block comes after the answer, which must not count."""

    step: Step
    twice: bool = False


def question(
    plugin: str, hook: str, event: str, data: Any, round: int = 0, attempt: int = 0
) -> Question:
    """Leave out what the plugin cannot know."""
    if PLUGINS[plugin][0]:
        return Question(plugin, hook, event, data, round, attempt)
    return Question(plugin, hook, event, data)


def act(seed: int, asked: Question) -> Act:
    """Return what the plugin does with that question."""
    saw = digest_of(asked.data)
    parts = (seed, asked.plugin, asked.hook, asked.event, saw, asked.round, asked.attempt)
    random = Random("/".join(map(str, parts)))
    answer = _answer(random, asked, is_bad=_is_bad(seed, asked.plugin, asked.event))
    if isinstance(answer, Says):
        told = {"event": asked.event, "saw": saw, "asked": f"{asked.round}.{asked.attempt}"}
        answer = replace(answer, annotations={**answer.annotations, **told})
    after = random.choice(_LATENCIES)
    if asked.is_by_hand and random.random() < 0.02:
        at, wanted_ms = random.choice(_EXTENSIONS)
        return Act(Step(answer, at + after + 5 * MS, (at, wanted_ms)))
    is_twice = asked.is_by_hand and random.random() < 0.03
    is_silent = isinstance(answer, Fails) and answer.how in SILENT
    return Act(Step(answer, after), twice=is_twice and not is_silent)


def digest_of(data: Any) -> str:
    """Name data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _answer(random: Random, asked: Question, *, is_bad: bool) -> Says | Fails:
    kinds, weights = zip(*_ODDS[asked.phase], strict=True)
    kind = random.choices(kinds, weights)[0]
    if is_bad and random.random() < 0.8:
        kind = "fails"
    match kind:
        case "good":
            return Says("intercept", random.choice(GOOD))
        case "odd":
            return Says("intercept", random.choice(ODD))
        case "fails":
            return Fails(random.choice(_FAILURES[asked.is_by_hand]))
        case "block":
            return random.choice(BLOCKS)
    return random.choice(CONTINUES)


@lru_cache(maxsize=4096)
def _is_bad(seed: int, plugin: str, event: str) -> bool:
    moment = int(event) // BAD_EVENTS
    return Random(f"{seed}/{plugin}/{moment}").random() < BAD_SHARE
