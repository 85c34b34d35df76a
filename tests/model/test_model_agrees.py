"""hookbus decides what the reference model decides, and what it decides does not depend on luck."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hypothesis import assume, given

from hookbus import verdict_bytes
from tests.model import hookbus_side
from tests.model.calls import Tie
from tests.model.model import Bus
from tests.model.strategies import buses, events, examples, sequences
from tests.model.values import Event, Fails, Hook, Says, Settings, Step


def _by_the_model(settings: Settings, emits: Sequence[tuple[Event, int]]) -> list[dict[str, Any]]:
    bus, now, made = Bus(settings), Fraction(0), []
    for event, pause in emits:
        try:
            decision, now = bus.decide(event, now + pause)
        except Tie:
            assume(False)
        made.append(decision)
    return made


def _bytes(decision: dict[str, Any]) -> str:
    """Verdict bytes of the model's decision, or of hookbus's, without the wording."""
    event = {"id": "-", **decision["event"]}
    plain = hookbus_side.without_wording({"id": "-", **decision, "event": event})
    return verdict_bytes(plain).decode()


@examples(900)
@given(buses(), events())
def test_one_event_is_decided_as_the_rules_say(settings: Settings, event: Event) -> None:
    expected = _by_the_model(settings, [(event, 0)])

    found = hookbus_side.decisions(settings, [(event, 0)])

    assert _bytes(found[0]) == _bytes(expected[0])


@examples(300)
@given(buses(), sequences())
def test_events_one_after_another_are_decided_as_the_rules_say(
    settings: Settings, emits: Sequence[tuple[Event, int]]
) -> None:
    expected = _by_the_model(settings, emits)

    found = hookbus_side.decisions(settings, emits)

    assert [_bytes(each) for each in found] == [_bytes(each) for each in expected]


def test_a_plugin_asked_again_leaves_the_validate_phase_its_time() -> None:
    forgetful = (Step(Says()), Step(Fails("silence")))
    again = Hook("a", "a", "mutate", forgetful, on_failure="open", reinvoke="if_needed")
    changes = Hook("b", "b", "mutate", (Step(Says("intercept", ("merge", {"n": 1}))),))
    settings = Settings((again, changes, Hook("v", "v", "validate")))
    event = Event("e", {}, timeout_ms=211)

    expected = _by_the_model(settings, [(event, 0)])
    found = hookbus_side.decisions(settings, [(event, 0)])

    assert _bytes(found[0]) == _bytes(expected[0])
    assert found[0]["outcome"] == "intercept"
