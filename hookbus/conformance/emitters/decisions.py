"""Checks of what an emitter makes of an answer, or of none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from msgspec import UNSET

from hookbus.conformance.check import Check
from hookbus.conformance.emitters.replies import (
    decide,
    decide_slowly,
    decide_too_late,
    refuse,
    send,
)
from hookbus.conformance.emitters.stage import Answer, Request, Run, Stage
from hookbus.conformance.report import Seen, failed, passed, warned
from hookbus.wire.limits import cut

TRIES: Final = 3  # one wrong end of a race with the clock may be the machine's fault

_MAX_SHOWN: Final = 60  # characters of a value in a sentence
_MARK: Final = "[changed by hookbus conformance]"

Look: TypeAlias = Callable[[Stage], Awaitable[Seen]]


def changed(data: Any) -> Any:
    """Make other data of the same shape: texts are another, and the last member is gone."""
    if not isinstance(data, dict):
        return _MARK
    kept = list(data)[: max(1, len(data) - 1)]
    return {name: _MARK if isinstance(data[name], str) else data[name] for name in kept}


async def _says_how_it_ended(stage: Stage) -> Seen:
    ended = stage.first.ended
    if ended.outcome is None:
        return failed(ended.problem)
    return passed(f"the outcome that it printed is {ended}")


async def _continues(stage: Stage) -> Seen:
    return _expected(stage.first, "continue", stage.data)


async def _intercepts(stage: Stage) -> Seen:
    other = changed(stage.data)
    return _expected(await stage.play(decide("intercept", data=other)), "intercept", other)


async def _intercepts_with_little(stage: Stage) -> Seen:
    return _expected(await stage.play(decide("intercept", data={})), "intercept", {})


async def _blocks(stage: Stage) -> Seen:
    reason = {"cause": "verdict", "by": "guard", "reason": "guard: no", "message": "No."}
    return _expected(await stage.play(decide("block", **reason)), "block")


async def _blocks_for_any_cause(stage: Stage) -> Seen:
    for cause in ("failure", "limit", "a_later_word"):
        seen = _expected(await stage.play(decide("block", cause=cause, reason="no")), "block")
        if seen.status != "pass":
            return failed(f"with the cause {cause!r}: {seen.text}")
    return seen


async def _ignores_unknown(stage: Stage) -> Seen:
    later: dict[str, Any] = {"x_unknown": {"of": ["a", "later", "version"]}, "data_hint": [1]}
    return _expected(await stage.play(decide("continue", **later)), "continue", stage.data)


async def _waits(stage: Stage) -> Seen:
    """An answer in time must be heard; look again, because our own clock may lag."""
    for _ in range(TRIES):
        seen = _expected(await stage.play(decide_slowly), "continue", stage.data)
        if seen.status == "pass":
            break
    return seen


async def _is_refused(stage: Stage) -> Seen:
    for code in ("schema", "unknown_type", "a_later_word"):
        seen = _expected(await stage.play(refuse(code, "no", "/data/text")), "refused")
        if seen.status != "pass":
            return failed(f"with the code {code!r}: {seen.text}")
    return seen


async def _is_unavailable(stage: Stage) -> Seen:
    run = await stage.play(refuse("unavailable", "the dispatcher failed"))
    if run.ended.outcome == "refused":
        return passed("it ended as 'refused'")
    return _undecided(run)


def _gets(answer: Answer | None) -> Look:
    """Look at an emitter that is answered with what is no decision of its event."""

    async def look(stage: Stage) -> Seen:
        return _undecided(await stage.play(answer))

    return look


async def _gives_up(stage: Stage) -> Seen:
    for _ in range(TRIES):
        run = await stage.play(decide_too_late)
        seen = _undecided(run)
        if seen.status == "pass":
            break
    if seen.status == "pass" and run.requests[0].timeout_ms is None:
        return warned("it names no hbtimeoutms: the bus decides without knowing how long it waits")
    return seen


async def _loses_broker(stage: Stage) -> Seen:
    async def leave(request: Request) -> None:
        await stage.stop_broker()

    return _undecided(await stage.play(leave))


async def _finds_no_broker(stage: Stage) -> Seen:
    return _undecided(await stage.play_without_broker())


def _expected(run: Run, outcome: str, data: Any = None) -> Seen:
    ended = run.ended
    if ended.outcome != outcome:
        return failed(f"expected {outcome!r}, the end was: {ended}")
    if run.went_on and ended.data != data:
        return failed(f"it goes on with {cut(repr(ended.data), _MAX_SHOWN)}")
    return passed(f"it ended as {outcome!r}" + (", with the right data" if run.went_on else ""))


def _undecided(run: Run) -> Seen:
    if run.went_on:
        return failed(f"it went on as if the decision had been {run.ended}")
    return _expected(run, "unavailable")


_NO_DECISION: Final = "What is no decision of this event is no decision: it is never read as one."

#: In this order: the broker does not come back.
DECISIONS: Final = (
    Check(
        "outcome",
        'The command prints one line of JSON in the end: {"outcome": …, "data": …}.',
        _says_how_it_ended,
        needs=("emits",),
    ),
    Check("continue", "continue: go on with your data.", _continues, needs=("outcome",)),
    Check(
        "intercept",
        "intercept: go on with the decision's data instead of your own, whole.",
        _intercepts,
        needs=("outcome",),
    ),
    Check(
        "intercept-empty",
        "The decision's data counts even if it is empty.",
        _intercepts_with_little,
        needs=("intercept",),
    ),
    Check("block", "block: stop.", _blocks, needs=("outcome",)),
    Check(
        "block-causes",
        "Whatever its cause, also one that you do not know, a block is a block.",
        _blocks_for_any_cause,
        needs=("block",),
    ),
    Check(
        "unknown-keys",
        "Unknown keys are ignored, so that version 1 can grow.",
        _ignores_unknown,
        needs=("continue",),
    ),
    Check(
        "waits",
        "A decision is there within the time that the event names: wait that long.",
        _waits,
        needs=("continue",),
    ),
    Check(
        "refused",
        "A refusal (Nats-Service-Error-Code 400) is no decision: the event is wrong.",
        _is_refused,
        needs=("outcome",),
    ),
    Check(
        "unavailable",
        "A refusal with 503 is no decision: the bus could not do its work.",
        _is_unavailable,
        needs=("outcome",),
    ),
    Check("not-json", _NO_DECISION, _gets(send(b"\xffcontinue")), needs=("outcome",)),
    Check("empty-reply", _NO_DECISION, _gets(send(b"")), needs=("outcome",)),
    Check("no-outcome", _NO_DECISION, _gets(send(b'{"v":1}')), needs=("outcome",)),
    Check(
        "unknown-outcome",
        "Version 1 has three outcomes; whatever else it says is no decision.",
        _gets(decide("perhaps", data={})),
        needs=("no-outcome",),
    ),
    Check(
        "no-data",
        "An intercept without data is no decision.",
        _gets(decide("intercept")),
        needs=("intercept",),
    ),
    Check(
        "other-event",
        "A decision names its event; one of another event is none of this one.",
        _gets(decide("continue", event={"id": "another", "source": "/other", "type": "other"})),
        needs=("continue",),
    ),
    Check(
        "no-version",
        "A message without 'v' is none of version 1.",
        _gets(decide("continue", v=UNSET)),
        needs=("continue",),
    ),
    Check(
        "other-version",
        "A message with another 'v' is none of version 1.",
        _gets(decide("continue", v=2)),
        needs=("continue",),
    ),
    Check(
        "no-responders",
        "No dispatcher is there (status 503, an empty body): no decision.",
        _gets(None),
        needs=("outcome",),
    ),
    Check(
        "late",
        "When the time is over that the event names, there is no decision; a late one is none.",
        _gives_up,
        needs=("outcome",),
    ),
    Check(
        "broker-gone",
        "The connection is lost while it waits: no decision.",
        _loses_broker,
        needs=("outcome",),
    ),
    Check(
        "broker-absent", "No broker is there: no decision.", _finds_no_broker, needs=("outcome",)
    ),
)
