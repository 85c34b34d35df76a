"""The soak's own judgement: what is right passes, and what is wrong, or strange, is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from hookbus.catalog import TypeSettings
from hookbus.models import Decision
from hookbus.snapshot import Binding, ConfigDocument
from tests.model.calls import budget
from tests.model.values import Event
from tests.soak.bars import grown
from tests.soak.behaviour import TYPE, VERSION
from tests.soak.events import SOURCE
from tests.soak.faults import EVERYBODY, Faults
from tests.soak.judge import Emitted, Judge, Verdicts
from tests.soak.memory import MIB, Sample, slope
from tests.soak.replay import Found, Replay
from tests.soak.settings import make_settings, settings_of
from tests.soak.starving import Starving
from tests.soak.wanted import Wanted

SEED = 1
DATA = {"n": 1, "s": "x", "o": {"x": 1, "y": 2}, "l": [1]}
#: Of this seed the plugins change event 6 and let it pass.
EVENT = Event("6", DATA, 2_000, type=TYPE, source=SOURCE)
EMITTED = Emitted(6, EVENT, began=10.0, ended=10.5, wall=0.0)
ANSWERED = {"attempt": 1, "failure": None, "ms": 1.0, "notes": [], "resolution": "enforced"}


def binding(plugin: str, hook: str, phase: Any) -> Binding:
    return Binding(plugin=plugin, hook=hook, version=VERSION, type=TYPE, phase=phase)


HOOKS = (
    binding("brush", "change", "mutate"),
    binding("dwell", "change", "mutate"),
    binding("check", "judge", "validate"),
)
DOCUMENT = ConfigDocument(bindings=HOOKS, types={TYPE: TypeSettings()})


class AllAnswered(dict[tuple[str, str, int], dict[str, Any]]):
    """Records of calls that all went well."""

    def get(self, key: Any, default: Any = None) -> Any:
        return ANSWERED


def right() -> dict[str, Any]:
    """What hookbus decides about the event, as the model says it."""
    found, settings = Found(AllAnswered(), set()), settings_of(3, DOCUMENT)
    replay = Replay(settings, EVENT, budget(2_000), SEED, found, lambda hook, record: None)
    made = replay.decide()[0]
    records = [{**record, "ms": 1.0} for record in made["records"]]
    return {**made, "id": "d", "event": {**made["event"], "id": EVENT.id}, "records": records}


def judged(decision: dict[str, Any], faults: Faults | None = None) -> Verdicts:
    async def judge() -> Verdicts:
        judging = Judge(SEED, faults or Faults(), Starving(list))
        judging.learn(3, DOCUMENT)
        await judging.judge(EMITTED, msgspec.convert(decision, Decision))
        return judging.done

    return asyncio.run(judge())


def failed(failure: str, ms: float) -> dict[str, Any]:
    """The right decision, had the world kept the validate plugin from answering."""
    made = right()
    lost = {"verdict": None, "failure": failure, "resolution": "failed_closed", "annotations": {}}
    made["records"][-1] |= {**lost, "ms": ms}
    block = {"by": "check", "cause": "failure", "code": failure, "reason": f"check: {failure}"}
    del made["data"]
    return {**made, "outcome": "block", "warnings": [], **block}  # its own was the only one


def test_the_event_of_these_tests_is_changed_by_one_and_passed_by_all() -> None:
    assert right()["outcome"] == "intercept"
    assert [record["verdict"] for record in right()["records"]][-1] == "continue"


def test_a_right_decision_passes() -> None:
    verdicts = judged(right())

    assert (verdicts.judged, verdicts.wrong, verdicts.odd) == (1, [], {})


def _another_digest(made: dict[str, Any]) -> None:
    made["records"][-1]["annotations"]["saw"] = "000000000000"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.update(data={**made["data"], "more": 1}),
        lambda made: made.update(outcome="continue", data=DATA),
        lambda made: made.update(degraded=True),
        lambda made: made.update(warnings=["check: careful", *made["warnings"]]),
        lambda made: made["records"].pop(),
        lambda made: made["records"].reverse(),
        lambda made: made["records"][-1].update(verdict="block"),
        lambda made: made["records"][-1].update(attempt=0),
        lambda made: made["records"][-1].update(attempt=2),
        _another_digest,
        lambda made: made.update(conflicts=[{"path": "/n", "loser": "brush", "winner": "dwell"}]),
        lambda made: made.update(masked=["/user"]),
    ],
)
def test_a_wrong_decision_is_seen(spoil: Callable[[dict[str, Any]], Any]) -> None:
    made = right()
    spoil(made)

    assert len(judged(made).wrong) == 1


def test_a_failure_without_a_cause_is_right_and_strange() -> None:
    for failure, ms in (("timeout", 200.0), ("no_responders", 0.5)):
        verdicts = judged(failed(failure, ms))

        assert (verdicts.wrong, verdicts.odd) == ([], {failure: 1})


def test_a_failure_beside_a_fault_of_that_plugin_is_not_strange() -> None:
    faults = Faults()
    fault = faults.begin("kill", EVERYBODY)
    fault.began, fault.ended = 9.0, 9.5

    assert judged(failed("timeout", 200.0), faults).odd == {}


def test_a_timeout_before_its_time_is_strange_whatever_was_disturbed() -> None:
    faults = Faults()
    faults.begin("kill", EVERYBODY).began = 9.0

    assert judged(failed("timeout", 150.0), faults).odd == {"timeout": 1}


def test_a_failure_that_the_operator_lets_pass_is_no_block() -> None:
    made = {**failed("timeout", 200.0), "outcome": "intercept", "data": right()["data"]}

    assert len(judged(made).wrong) == 1


def test_a_generation_is_compared_with_what_was_applied_and_said_since() -> None:
    settings = make_settings(Random(4))
    wanted = Wanted()
    wanted.say("apply", {"settings": settings})
    bindings = [
        msgspec.convert({"plugin": p, "hook": h, "version": VERSION, **said}, Binding)
        for p, plugin in settings["plugins"].items()
        for h, said in plugin["hooks"].items()
    ]
    types = msgspec.convert(settings["types"], dict[str, TypeSettings])
    document = ConfigDocument(bindings=tuple(bindings), types=types)

    assert wanted.differences(document) == []
    wanted.say("mode", {"plugin": "brush", "hook": "judge", "mode": "shadow"})
    wanted.say("remove", {"plugin": "check"})
    assert len(wanted.differences(document)) == 2


def test_the_slope_is_told_behind_the_first_twenty_thousand_events() -> None:
    warm = [Sample(events, events * 1_000) for events in range(0, 20_000, 1_000)]
    steady = [Sample(events, 50 * MIB) for events in range(20_000, 60_000, 1_000)]
    leaking = [Sample(events, events * MIB // 25_000) for events in range(20_000, 60_000, 1_000)]

    assert slope([*warm, *steady]) == 0
    assert slope([*warm, *leaking]) == pytest.approx(2, rel=0.01)
    assert slope(warm) is None


def test_what_is_held_at_rest_must_not_grow() -> None:
    assert not grown([15, 15, 16, 15, 15])
    assert not grown([15, 16])
    assert grown([15, 15, 16, 16])
    assert grown([15, 40])
