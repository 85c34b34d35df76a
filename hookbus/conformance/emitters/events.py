"""Checks of what an emitter sends."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hookbus import subjects
from hookbus.conformance.check import Check
from hookbus.conformance.emitters.replies import decide
from hookbus.conformance.emitters.stage import Stage
from hookbus.conformance.report import Seen, failed, passed
from hookbus.errors import InvalidEvent
from hookbus.wire.limits import cut

_MAX_SHOWN: Final = 60  # characters of a value in a sentence


async def _emits(stage: Stage) -> Seen:
    run = await stage.play(decide("continue"))
    if not run.requests:
        return failed(f"nothing came on {subjects.EMIT_ALL}; the command's end: {run.ended}")
    if len(run.requests) > 1:
        return failed(f"it was answered, and emitted {len(run.requests)} times")
    subject = run.requests[0].message.subject
    if run.requests[0].event_type != stage.event_type:
        return failed(f"asked for {stage.event_type!r}, it emitted on {cut(subject, 80)}")
    return passed(f"an event came on {cut(subject, 80)}")


async def _is_event(stage: Stage) -> Seen:
    request = stage.first.requests[0]
    try:
        request.read()
    except InvalidEvent as e:
        where = f" at {e.pointer}" if e.pointer else ""
        return failed(f"a dispatcher refuses it{where}: {e}")
    return passed(f"a CloudEvent of {len(request.message.data)} bytes")


async def _carries_data(stage: Stage) -> Seen:
    sent = stage.first.requests[0].read().event.data
    if sent != stage.data:
        return failed(
            f"its data is {cut(repr(sent), _MAX_SHOWN)}, expected the data that was given"
        )
    return passed("the event's data is the data that was given")


async def _names_inbox(stage: Stage) -> Seen:
    reply = stage.first.requests[0].message.reply
    if not reply.startswith(subjects.INBOX):
        return failed(f"the reply subject is {cut(repr(reply), _MAX_SHOWN)}")
    return passed(f"the reply subject is {cut(reply, _MAX_SHOWN)}")


#: Looked at first; all but the first look at what the first saw.
EVENTS: Final = (
    Check(
        "emits",
        "An emit is a request to hookbus.emit.<principal>.<type>.",
        _emits,
        needs=(),
    ),
    Check(
        "event",
        "A CloudEvent: specversion, id, source, type as in the subject; hbtimeoutms is 10 or more.",
        _is_event,
        needs=("emits",),
    ),
    Check("event-data", "What the event is about is in 'data'.", _carries_data, needs=("event",)),
    Check(
        "inbox",
        "The bus answers only to reply subjects that begin with '_INBOX.'.",
        _names_inbox,
        needs=("emits",),
    ),
)


async def _has_own_ids(stage: Stage) -> Seen:
    ids = [run.requests[0].event_id for run in stage.runs if run.requests]
    most, count = Counter(ids).most_common(1)[0]
    if count > 1:
        return failed(f"{count} of {len(ids)} events had the id {cut(repr(most), _MAX_SHOWN)}")
    return passed(f"{len(ids)} events, each with an id of its own")


#: Looked at last, over all runs.
AFTERWARDS: Final = (
    Check(
        "own-ids",
        "Each event has an id of its own: the same one again gets the same decision, or id_reuse.",
        _has_own_ids,
        needs=("event",),
    ),
)
