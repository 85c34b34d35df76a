"""Which events are kept as they came, and what a candidate is asked about (record_payload, R15)."""

from __future__ import annotations

import pytest

from hookbus import subjects
from tests.flow.bus import HI, Bus
from tests.flow.scripted import Scripted, says

INPUTS = subjects.INPUTS_STREAM


async def test_an_input_is_kept_as_it_came_beside_its_decision(bus: Bus) -> None:
    changes = says("intercept", merge={"text": "changed"})
    await bus.start(Scripted("a", changes, phase="mutate"))

    decision = await bus.emit({"text": "as it came"}, id="1")
    await bus.emit({"text": "as it came"}, id="1")  # decided, and kept, once
    [(subject, kept)] = await bus.stored(INPUTS)

    assert subject == "hookbus.input.message_received"
    assert (kept["principal"], kept["decision"]) == ("anonymous", decision.id)
    assert kept["event"]["data"] == {"text": "as it came"}


async def test_dry_runs_refusals_and_notifications_are_no_inputs(bus: Bus) -> None:
    await bus.start()

    await bus.emit(dry_run=True)
    await bus.emitter.notify("message_received", HI)
    await bus.send(b"garbage")

    assert await bus.stored(INPUTS) == []


@pytest.mark.parametrize("said", ["none", "masked", "full"])
async def test_what_is_kept_of_an_input_is_the_operators_word(bus: Bus, said: str) -> None:
    settings = {"message_received": {"record_payload": said, "secret": ["/text"]}}
    await bus.start(types=settings)

    await bus.emit({"text": "s3cret"})
    kept = [message["event"]["data"]["text"] for _, message in await bus.stored(INPUTS)]

    assert kept == {"none": [], "masked": ["[masked]"], "full": ["s3cret"]}[said]


async def test_a_candidate_sees_what_its_incumbent_sees(bus: Bus) -> None:
    changes = says("intercept", merge={"text": "changed"})
    candidate = Scripted("a--next", phase="mutate", priority=900, mode="enforce")
    await bus.start(Scripted("a", changes, phase="mutate"))
    await candidate.listen(await bus.connect("a--next"))
    await candidate.announce(candidate_of="a")
    await bus.served()

    decision = await bus.emit({"text": "as it came"})
    await bus.until(lambda: bool(candidate.calls))

    assert decision.data == {"text": "changed"}
    assert candidate.calls[0]["event"]["data"] == {"text": "as it came"}
