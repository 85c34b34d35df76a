"""What a dispatcher remembers is bounded, and the oldest is forgotten first (R26, cache)."""

from __future__ import annotations

import pytest

from hookbus.dispatch import cache, once
from hookbus.dispatch.cache import VerdictCache
from hookbus.dispatch.decided import Decided
from hookbus.dispatch.once import Key, Once
from hookbus.models import Decision, EventRef
from hookbus.wire.verdict import Answer

CONTINUE = Answer(verdict="continue")
DECISION = Decision(id="d", event=EventRef("e", "/test", "t"), outcome="continue", principal="p")


@pytest.fixture(autouse=True)
def _three_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    monkeypatch.setattr(once, "MAX_ENTRIES", 3)


def test_beyond_the_most_verdicts_the_one_kept_longest_ago_goes() -> None:
    verdicts = VerdictCache()

    for name in ("a", "b", "c", "a", "d"):
        verdicts.put((name,), CONTINUE, 9.0, 0.0)

    assert [name for name in "abcd" if verdicts.get((name,), 1.0)] == ["a", "c", "d"]


def test_a_verdict_that_is_stale_takes_no_place() -> None:
    verdicts = VerdictCache()
    for name in ("a", "b", "c"):
        verdicts.put((name,), CONTINUE, 9.0 if name == "a" else 1.0, 0.0)

    assert verdicts.get(("b",), 1.0) is None
    verdicts.put(("d",), CONTINUE, 9.0, 1.0)

    assert verdicts.get(("a",), 1.0) is CONTINUE


def test_verdicts_that_are_stale_leave_when_others_come() -> None:
    verdicts = VerdictCache()
    for name in ("a", "b"):
        verdicts.put((name,), CONTINUE, 1.0, 0.0)

    verdicts.put(("c",), CONTINUE, 9.0, 1.0)

    assert verdicts.get(("a",), 0.5) is None  # not even for who looks back
    assert len(verdicts) == 1


def test_beyond_the_most_decisions_the_oldest_goes() -> None:
    events = Once()

    for name in ("a", "b", "c", "d"):
        _decide(events, name)

    assert _kept(events, "abcd") == ["b", "c", "d"]


def test_decisions_are_kept_up_to_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MAX_BYTES", 20)
    events = Once()

    for name, size in (("a", 10), ("b", 10), ("c", 1), ("d", 20)):
        _decide(events, name, size)
        kept = _kept(events, "abcd")
        assert kept == {"a": ["a"], "b": ["a", "b"], "c": ["b", "c"], "d": ["d"]}[name]


def _decide(events: Once, name: str, size: int = 1) -> None:
    events.open(_key(name), b"digest")
    events.close(_key(name), Decided(DECISION, b"x" * size, b""), 0.0)


def _kept(events: Once, names: str) -> list[str]:
    return [name for name in names if events.find(_key(name), 1.0) is not None]


def _key(name: str) -> Key:
    return ("p", "/test", name, False)
