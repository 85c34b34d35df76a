"""The time of an event, of which the second is formatted once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from hookbus.timestamp import now


def test_the_time_of_an_event_is_now_in_whole_milliseconds() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    moment = datetime.fromisoformat(now())

    assert before <= moment <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [
        (1_764_000_000_007_999_999, "2025-11-24T16:00:00.007Z"),
        (1_764_000_000_999_999_999, "2025-11-24T16:00:00.999Z"),
        (1_764_000_001_000_000_000, "2025-11-24T16:00:01.000Z"),
        (1_764_000_000_000_000_000, "2025-11-24T16:00:00.000Z"),  # the clock was set back
    ],
)
def test_each_second_is_said_as_it_is(
    nanoseconds: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)

    assert now() == said
