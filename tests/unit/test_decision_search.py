"""Decisions are found by the time in their ids; clocks that differ lose none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
import pytest

from hookbus.decision_log.records import Reference, Wanted, short_id, time_in
from hookbus.decision_log.search import (
    FIRST_SPAN,
    MAX_MATCHES,
    Found,
    every,
    find,
    newest,
    shadows,
)
from hookbus.models import Decision, EventRef
from tests.unit.decision_samples import NOON, FakeReader, decision, record, seconds, uuid7_at

HOUR = 3_600


def one_a_second(count: int = 3 * HOUR, skew: float = 0.0) -> FakeReader:
    """A stream of decisions from NOON on; the dispatcher's clock is *skew* seconds ahead."""
    moments = [NOON + seconds(number) for number in range(count)]
    made = [
        decision(uuid7_at(moment + seconds(skew), number), event=event(f"e{number}"))
        for number, moment in enumerate(moments)
    ]
    return FakeReader(made, [moment + seconds(0.01) for moment in moments])


def event(id: str) -> EventRef:
    return EventRef(id, "/agent", "tool_invoked")


def sought(reader: FakeReader, text: str, since: datetime | None = None) -> Found:
    return asyncio.run(find(reader, Reference(text), lambda looked_at, of: None, since))


def ids(found: Found) -> list[str]:
    return [recorded.decision.id for _, recorded in found.matches]


def test_a_decision_is_found_near_the_time_in_its_id() -> None:
    reader = one_a_second()
    wanted = uuid7_at(NOON + seconds(HOUR), HOUR)

    found = sought(reader, wanted)

    assert ids(found) == [wanted]
    assert reader.handed_over == 1


@pytest.mark.parametrize("skew", [-3_000, -300, -30, -2, 2, 30, 300, 3_000, 50_000])
def test_clocks_that_differ_lose_no_decision(skew: int) -> None:
    reader = one_a_second(skew=skew)
    wanted = uuid7_at(NOON + seconds(HOUR + skew), HOUR)

    found = sought(reader, wanted)

    assert ids(found) == [wanted]


def test_a_failures_own_trace_means_the_failure_whoever_else_names_that_trace() -> None:
    wanted = uuid7_at(NOON, 0)
    own = wanted.replace("-", "")
    failed = decision(wanted, outcome="block", cause="failure", trace_id=own)
    strangers = [
        decision(uuid7_at(NOON + seconds(number), number), trace_id=own)
        for number in range(1, MAX_MATCHES + 5)
    ]
    moments = [NOON + seconds(number) for number in range(len(strangers) + 1)]

    found = sought(FakeReader([failed, *strangers], moments), own)
    meant, others = found.chosen()

    assert meant.decision.id == wanted
    assert [kind for kind, _ in others] == ["trace"] * MAX_MATCHES


def test_of_several_decisions_of_a_trace_the_newest_is_meant() -> None:
    made = [decision(uuid7_at(NOON, number), trace_id="ab" * 16) for number in range(3)]

    found = sought(FakeReader(made, [NOON + seconds(n) for n in (0, 2, 1)]), "ab" * 16)
    meant, others = found.chosen()

    assert meant.decision.id == made[1].id
    assert [recorded.decision.id for _, recorded in others] == [made[0].id, made[2].id]


def test_a_miss_looks_at_every_record_once() -> None:
    reader = one_a_second()

    found = sought(reader, uuid7_at(NOON + seconds(HOUR), 99_999))

    assert not found.count
    assert found.looked_at == 3 * HOUR
    assert reader.handed_over < 3 * HOUR + 10  # the first one behind each stretch, too


def test_a_short_id_is_as_good_as_the_whole() -> None:
    reader = one_a_second()
    wanted = uuid7_at(NOON + seconds(HOUR), HOUR)

    assert ids(sought(reader, short_id(wanted))) == [wanted]
    assert ids(sought(reader, wanted[:13])) == [wanted]
    assert ids(sought(reader, wanted.upper())) == [wanted]


def test_the_beginning_of_an_id_names_all_of_its_millisecond() -> None:
    twins = [decision(uuid7_at(NOON, number)) for number in (1, 2)]
    reader = FakeReader(twins, [NOON, NOON])

    assert ids(sought(reader, twins[0].id[:13])) == [twin.id for twin in twins]
    assert ids(sought(reader, short_id(twins[0].id))) == [twins[0].id]


def test_an_event_id_is_looked_for_everywhere() -> None:
    reader = one_a_second(100)

    found = sought(reader, "e42")

    assert [kind for kind, _ in found.matches] == ["event"]
    assert found.looked_at == 100


def test_an_event_id_may_be_a_uuid_too() -> None:
    uuid = uuid7_at(NOON)
    reader = FakeReader([decision("another", event=event(uuid))], [NOON + seconds(0.1)])

    assert [kind for kind, _ in sought(reader, uuid).matches] == ["event"]


def test_of_a_long_trace_the_newest_are_kept_and_all_counted() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    count = MAX_MATCHES + 50
    made = [decision(f"d{number}", trace_id=trace) for number in range(count)]
    found = sought(FakeReader(made, [NOON] * count), trace)

    assert found.count == count
    assert ids(found) == [f"d{number}" for number in range(50, count)]


def test_an_id_inside_another_text_is_no_match() -> None:
    made = [decision("d1", reason="see e7", event=event("e77"))]

    assert not sought(FakeReader(made, [NOON]), "e7").matches


def test_since_bounds_the_search() -> None:
    reader = one_a_second(100)

    assert not sought(reader, "e42", NOON + seconds(50)).matches
    assert sought(reader, "e42", NOON + seconds(40)).matches


def test_nothing_is_looked_at_in_an_empty_stream() -> None:
    assert sought(FakeReader([], []), "e42").looked_at == 0


@pytest.mark.parametrize("text", ["", "d", "01a1ff58", "01a1ff58-dd4", "g1a1ff58-dd41-7752"])
def test_what_holds_no_time_is_no_decision_id(text: str) -> None:
    assert time_in(text) is None


def test_a_uuid_of_another_version_holds_no_time() -> None:
    assert time_in("01a1ff58-dd41-4752-a3f1-122dd64ab8e4") is None


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_newest_are_listed_oldest_first(limit: int) -> None:
    reader = one_a_second(5)

    listing = asyncio.run(newest(reader, Wanted(), limit))

    assert [r.decision.event.id for r in listing.decisions] == ["e0", "e1", "e2", "e3", "e4"][
        -limit:
    ]
    assert (listing.is_cut, listing.next) == (limit < 5, 6)


def rare(reader_count: int, every_nth: int) -> FakeReader:
    made: list[Decision] = []
    for number in range(reader_count):
        outcome = "continue" if number % every_nth else "block"
        made.append(decision(f"d{number}", outcome=outcome, event=event(f"e{number}")))
    return FakeReader(made, [NOON + seconds(number) for number in range(reader_count)])


def test_what_is_rare_is_found_far_back_and_nothing_twice() -> None:
    count = 10 * FIRST_SPAN
    reader = rare(count, 3_000)

    listing = asyncio.run(newest(reader, Wanted(outcome="block"), 3))

    assert [r.decision.id for r in listing.decisions] == ["d3000", "d6000", "d9000"]
    assert listing.is_cut


def test_since_bounds_the_list() -> None:
    reader = one_a_second(100)
    since = NOON + seconds(97)

    listing = asyncio.run(newest(reader, Wanted(), 50, since))

    assert [r.decision.event.id for r in listing.decisions] == ["e97", "e98", "e99"]
    assert not listing.is_cut


def test_all_are_told_without_a_limit() -> None:
    told: list[str] = []
    reader = one_a_second(10)

    following = asyncio.run(every(reader, Wanted(), lambda r: told.append(r.decision.event.id)))

    assert told == [f"e{number}" for number in range(10)]
    assert following == 11


DECIDED = decision(
    outcome="block",
    by="guard",
    event=EventRef("1", "/chat", "chat.message_received"),
    trace_id="t",
    records=(record("guard"), record("redact")),
)


@pytest.mark.parametrize(
    ("wanted", "is_included"),
    [
        (Wanted(), True),
        (Wanted(outcome="block"), True),
        (Wanted(outcome="continue"), False),
        (Wanted(plugin="redact"), True),
        (Wanted(plugin="other"), False),
        (Wanted(type="chat.*"), True),
        (Wanted(type="chat"), False),
        (Wanted(source="/chat"), True),
        (Wanted(source="/cha"), False),
        (Wanted(trace="t"), True),
        (Wanted(trace="u"), False),
    ],
)
def test_every_filter_holds(wanted: Wanted, is_included: bool) -> None:
    assert wanted.includes(DECIDED) is is_included


def test_the_broker_looks_only_at_the_subjects_that_can_fit() -> None:
    assert Wanted(plugin="guard").subjects == ()
    assert Wanted(outcome="block").subjects == ("hookbus.decision.block.>",)
    assert Wanted(type="chat.*").subjects == (
        "hookbus.decision.continue.chat.*",
        "hookbus.decision.intercept.chat.*",
        "hookbus.decision.block.chat.*",
    )


def test_shadow_records_are_no_decisions() -> None:
    made = decision(uuid7_at(NOON))
    reader = FakeReader([made], [NOON])
    shadow = shadow_bytes(made, "beside"), shadow_bytes(decision(uuid7_at(NOON, 5)), "another's")
    for number, data in enumerate(shadow, 2):
        last = reader.stored[-1]
        subject = "hookbus.decision.shadow.tool_invoked"
        reader.stored.append(last._replace(sequence=number, subject=subject, data=data))

    listing = asyncio.run(newest(reader, Wanted(), 10))
    beside = asyncio.run(shadows(reader, listing.decisions[0]))

    assert [r.decision.id for r in listing.decisions] == [made.id]
    assert [s.record.plugin for s in beside] == ["beside"]


def shadow_bytes(made: Decision, plugin: str) -> bytes:
    body = {"v": 1, "decision": made.id, "event": made.event, "record": record(plugin)}
    return msgspec.json.encode(body)


def test_what_no_dispatcher_wrote_is_stepped_over() -> None:
    reader = FakeReader([decision("d1")], [NOON])
    last = reader.stored[0]
    forged: Sequence[bytes] = (b"", b"[]", b"\xff", b'{"id": 5}')
    reader.stored += [last._replace(sequence=n, data=data) for n, data in enumerate(forged, 2)]

    listing = asyncio.run(newest(reader, Wanted(), 10))

    assert [r.decision.id for r in listing.decisions] == ["d1"]
