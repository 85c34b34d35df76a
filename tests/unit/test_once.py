"""Once per event: what is kept of decided events, and for how long."""

from __future__ import annotations

from hookbus.dispatch import once
from hookbus.dispatch.decided import Decided
from hookbus.dispatch.once import WINDOW, Kept, Once
from hookbus.models import Decision, EventRef
from hookbus.wire.event import decode_event

DECISION = Decision(id="d", event=EventRef("e", "/s", "t"), outcome="continue")


def inbound(data: bytes) -> object:
    body = b'{"specversion":"1.0","id":"e","source":"/s","type":"t","data":%b}' % data
    return decode_event(body, None, "chat", "t")


def decide(known: Once, name: str, reply: bytes, now: float) -> None:
    key = ("chat", "/s", name, False)
    known.open(key, 1)
    known.close(key, Decided(DECISION, reply, reply), now)


def test_the_order_of_keys_is_no_other_content_and_another_value_is() -> None:
    known = Once()

    key, digest = known.key_of(inbound(b'{"a":1,"b":2}'))  # type: ignore[arg-type]

    assert key == ("chat", "/s", "e", False)
    assert known.key_of(inbound(b'{"b":2,"a":1}')) == (key, digest)  # type: ignore[arg-type]
    assert known.key_of(inbound(b'{"b":2,"a":3}'))[1] != digest  # type: ignore[arg-type]


def test_no_two_dispatchers_digest_alike_so_nobody_can_look_for_a_twin() -> None:
    event = inbound(b"{}")

    assert Once().key_of(event)[1] != Once().key_of(event)[1]  # type: ignore[arg-type]


def test_a_reply_is_kept_for_its_window_and_an_event_that_comes_again_later_is_kept_anew() -> None:
    known = Once()
    decide(known, "a", b"first", 0.0)

    found = known.find(("chat", "/s", "a", False), WINDOW - 1)
    assert isinstance(found, Kept)
    assert found.reply == b"first"
    assert known.find(("chat", "/s", "a", False), WINDOW) is None

    decide(known, "a", b"second", WINDOW)
    decide(known, "b", b"other", WINDOW + 1)
    found = known.find(("chat", "/s", "a", False), WINDOW + 2)
    assert isinstance(found, Kept)
    assert found.reply == b"second"


def test_bytes_of_what_is_replaced_or_over_are_given_back() -> None:
    known = Once()
    for number in range(100):
        decide(known, "a", b"x" * (once.MAX_BYTES // 10), number * WINDOW)

    decide(known, "b", b"y", 100 * WINDOW - 1)

    assert known.find(("chat", "/s", "a", False), 100 * WINDOW - 1) is not None
