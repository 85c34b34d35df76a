"""Who answers first, who registered first and which key is written first never matter (R29)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given

from hookbus import verdict_bytes
from tests.model import hookbus_side
from tests.model.strategies import buses, events, examples, randoms
from tests.model.values import Event, Fails, Hook, Says, Settings, Step

#: Microseconds; with two retries 20 ms apart still within the shortest timeout, 50 ms.
LATENCIES = (0, 0, 1, 2, 300, 1_000, 2_000)


def _steady(hook: Hook, after: Callable[[], int]) -> Hook:
    """The same hook with other latencies, none of which comes near a timeout."""
    script = tuple(Step(step.answer, after()) for step in hook.script)
    return replace(hook, script=script, timeout_ms=min(hook.timeout_ms, 1_000))


def _shuffled(random: Random, value: Any) -> Any:
    """The same JSON with its keys in another order."""
    if isinstance(value, dict):
        keys = random.sample(sorted(value), len(value))
        return {key: _shuffled(random, value[key]) for key in keys}
    return [_shuffled(random, item) for item in value] if isinstance(value, list) else value


@examples(150)
@given(buses(), events(), randoms)
def test_arrival_order_never_changes_a_byte(
    settings: Settings, event: Event, random: Random
) -> None:
    patient = replace(event, timeout_ms=30_000)
    at_once = replace(settings, hooks=tuple(_steady(h, lambda: 0) for h in settings.hooks))
    mixed = [_steady(hook, lambda: random.choice(LATENCIES)) for hook in settings.hooks]
    random.shuffle(mixed)
    one_by_one = replace(settings, hooks=tuple(mixed))
    other_keys = replace(patient, data=_shuffled(random, patient.data))

    first = hookbus_side.decisions(at_once, [(patient, 0)])
    second = hookbus_side.decisions(one_by_one, [(other_keys, 0)])

    assert verdict_bytes(second[0]) == verdict_bytes(first[0])


def test_how_long_others_took_is_not_read_in_a_timeout_that_the_budget_cut() -> None:
    silent = Hook("b", "b", "validate", (Step(Fails("silence")),), timeout_ms=5_000)
    quick = Hook("a", "a", "mutate", (Step(Says(), after=0),))
    slow = replace(quick, script=(Step(Says(), after=100_000),))

    first = hookbus_side.decisions(Settings((quick, silent)), [(Event("e", {}), 0)])
    second = hookbus_side.decisions(Settings((slow, silent)), [(Event("e", {}), 0)])

    assert first[0]["cause"] == "deadline"
    assert verdict_bytes(second[0]) == verdict_bytes(first[0])
