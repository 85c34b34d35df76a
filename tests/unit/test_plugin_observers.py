"""What `hookbus plugins` says of observers."""

from __future__ import annotations

from typing import Any

import pytest

from hookbus.cli.plugins.observers import age, observer_lines

CALM = {"waiting": 0, "oldest_s": None, "letters": 0, "discarded": 0, "discarded_exact": True}


def lines(mode: str = "enforce", *, is_full: bool = False, **state: Any) -> list[str]:
    hook = {"name": "write", "mode": mode, "observer": {**CALM, **state}}
    asked = {"name": "judge", "mode": mode}
    return list(observer_lines({"plugin": "diary", "hooks": [asked, hook]}, is_full=is_full))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, []),
        ({"waiting": 3, "oldest_s": 2.0}, []),
        ({"waiting": 3, "oldest_s": 90.0}, ["diary/write: 3 waiting, the oldest for 2m"]),
        (
            {"waiting": 3, "oldest_s": 2.0, "mode": "off"},
            ["diary/write: 3 waiting, the oldest for 2s, paused by its mode"],
        ),
        (
            {"letters": 1},
            ["diary/write: 1 dead letter, see 'hookbus dlq --plugin diary'"],
        ),
        (
            {"discarded": 5, "discarded_exact": False},
            [
                "diary/write: up to 5 never delivered: the stream's limits took them"
                " (streams.OBSERVE)"
            ],
        ),
        ({"is_full": True}, ["diary/write: nothing waits"]),
    ],
)
def test_an_observer_is_mentioned_when_there_is_something_to_say(
    state: dict[str, Any], said: list[str]
) -> None:
    assert lines(**state) == said


def test_an_age_is_said_in_its_largest_unit() -> None:
    assert [age(s) for s in (0.4, 59.0, 120.0, 7_200.0, 200_000.0)] == [
        "0s",
        "59s",
        "2m",
        "2h",
        "2d",
    ]
