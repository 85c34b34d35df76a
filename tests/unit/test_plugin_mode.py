"""What `hookbus plugins mode` takes, and how overrides are put into words."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from hookbus.cli.app import make_app
from hookbus.cli.errors import UsageError
from hookbus.cli.overrides import lines, mode_override, overrides_in_force
from hookbus.cli.plugins.mode import parse_duration

NOW = 1_795_255_200.0  # 2026-11-21T10:00:00Z


def override(mode: str, until: float | None = None) -> dict[str, Any]:
    return {"mode": mode, "by": "ops", "at": "2026-11-21T09:00:00Z", "until": until}


def said(**modes: dict[str, Any]) -> dict[str, Any]:
    return {"overrides": {"removed": {}, "modes": modes}}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("2d", 172_800)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


# 0 s is the protocol's word for no end
@pytest.mark.parametrize("text", ["0s", "00h", "", "h", "90", "1.5h", "-1s", "1 h", "soon", "١s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--for: expected a duration such as 90s, 30m or 1h, got"):
        parse_duration(text)


def test_a_duration_that_is_as_good_as_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--for: expected at most 3650d, got '999999999d'"):
        parse_duration("999999999d")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "plugins mode: expected a mode or --reset, one of the two"),
        (["off", "--reset"], "plugins mode: expected a mode or --reset, one of the two"),
        (["--reset", "--for", "1h"], "plugins mode: --for goes with a mode, not with --reset"),
    ],
)
def test_what_makes_no_sense_together_is_refused(words: list[str], message: str) -> None:
    result = CliRunner().invoke(make_app(["plugins"]), ["plugins", "mode", "guard", *words])

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == message


def test_another_word_than_the_four_modes_is_refused() -> None:
    result = CliRunner().invoke(make_app(["plugins"]), ["plugins", "mode", "guard", "loud"])

    assert result.exit_code == 2
    assert "'loud'" in result.output


def test_an_override_whose_time_is_over_is_not_in_force() -> None:
    answer = said(
        past=override("off", NOW - 1), future=override("off", NOW + 1), always=override("off")
    )

    assert sorted(overrides_in_force(answer, NOW).modes) == ["always", "future"]


def test_what_was_said_of_a_hook_wins_over_its_plugin() -> None:
    answer = said(**{"guard": override("off"), "guard/tool-invoked": override("warn")})

    overrides = overrides_in_force(answer, NOW)

    modes = [mode_override(overrides, "guard", hook) for hook in ("tool-invoked", "other")]
    assert [mode.mode for mode in modes if mode] == ["warn", "off"]
    assert mode_override(overrides, "another", "hook") is None


def test_each_override_says_who_when_how_long_and_what_ends_it() -> None:
    answer = said(**{"guard": override("off", NOW + 60), "guard/tool-invoked": override("warn")})
    answer["overrides"]["removed"] = {"noisy": {"by": "ops", "at": "2026-11-21T08:00:00Z"}}

    assert lines(overrides_in_force(answer, NOW)) == [
        "guard: off by ops at 2026-11-21T09:00:00Z until 2026-11-21T10:01:00Z;"
        " 'hookbus plugins mode guard --reset' ends it",
        "guard/tool-invoked: warn by ops at 2026-11-21T09:00:00Z;"
        " 'hookbus plugins mode guard --hook tool-invoked --reset' ends it",
        "noisy: removed by ops at 2026-11-21T08:00:00Z;"
        " 'hookbus plugins approve noisy' binds it again",
    ]
