"""What the limits of a stream took away before an observer had it, from one look to the next."""

from __future__ import annotations

from hookbus.registry.discards import Discarded, Discards
from hookbus.streams import Extent, Place


def look(
    discards: Discards,
    *,
    first: int,
    last: int,
    delivered: int,
    waiting: int,
    newer: int | None = None,
    created: float = 1.0,
) -> Discarded:
    place = Place(created, delivered + 1, delivered, waiting, 0)
    discards.note("o", place, Extent(first, last, {}), newer=newer, is_still=True)
    return discards.totals["o"]


def test_what_waited_and_is_gone_without_having_been_delivered_is_counted_exactly() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=0, waiting=50)
    place, extent = Place(1.0, 1, 0, 45, 0), Extent(31, 130, {})

    assert discards.in_question("o", place, extent) == 100
    # of 45 that wait 10 are newer than the last look: 35 of the 50 are left
    assert look(discards, first=31, last=130, delivered=0, waiting=45, newer=10) == Discarded(15)


def test_of_an_observer_that_went_on_it_may_be_as_many_as_waited() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=20, waiting=7)

    total = look(discards, first=61, last=150, delivered=140, waiting=0)

    assert total == Discarded(7, is_exact=False)


def test_one_that_waited_for_nothing_lost_nothing() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=20, waiting=0)

    assert look(discards, first=61, last=100, delivered=20, waiting=0) == Discarded(0)


def test_what_came_and_went_between_two_looks_may_have_been_its_own() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=0, waiting=5)

    assert discards.in_question("o", Place(1.0, 1, 0, 9, 0), Extent(121, 200, {})) is None
    assert look(discards, first=121, last=200, delivered=0, waiting=9) == Discarded(25, False)


def test_what_is_taken_out_of_an_observers_hands_may_be_handled_yet() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=100, waiting=0)

    discards.taken_away("o")

    assert look(discards, first=51, last=100, delivered=100, waiting=0) == Discarded(1, False)


def test_nothing_is_counted_twice() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=0, waiting=100)
    look(discards, first=31, last=100, delivered=0, waiting=70, newer=0)

    for _ in range(3):
        total = look(discards, first=31, last=100, delivered=0, waiting=70)

    assert total == Discarded(30)


def test_a_consumer_that_was_made_anew_begins_anew_and_keeps_its_count() -> None:
    discards = Discards()
    look(discards, first=1, last=100, delivered=0, waiting=100)
    look(discards, first=31, last=100, delivered=0, waiting=70, newer=0)

    assert look(discards, first=51, last=100, delivered=50, waiting=50, created=2.0).count == 30
    discards.keep(set())
    assert discards.totals == {}
