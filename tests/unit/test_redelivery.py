"""How often an observed message comes, and after how long."""

from __future__ import annotations

import pytest

from hookbus.wire.redelivery import Redelivery, tries_of


def test_each_try_waits_for_its_own_time_and_after_the_last_one_there_is_none() -> None:
    said = Redelivery(max_deliver=7, backoff_ms=(10, 20))

    assert [said.delay_ms(tries) for tries in range(1, 9)] == [10, 20, 20, 20, 20, 20, None, None]


@pytest.mark.parametrize(
    ("reply", "tries"),
    [
        ("$JS.ACK.HOOKBUS_OBSERVE.a_b.3.17.20.1795308176045566180.0", 3),
        ("$JS.ACK.hub.acc.HOOKBUS_OBSERVE.a_b.4.17.20.1795308176045566180.0.token", 4),
        ("$JS.ACK.S.c.x.1.1.1.1", 1),
        ("$JS.ACK.S.c.³.1.1.1.1", 1),
        ("$JS.ACK.S.c.0.1.1.1.1", 1),
        ("$JS.ACK.S.c." + "9" * 5_000 + ".1.1.1.1", 999_999_999),
        ("$JS.ACK", 1),
    ],
)
def test_the_reply_subject_says_which_try_it_is(reply: str, tries: int) -> None:
    assert tries_of(reply) == tries
