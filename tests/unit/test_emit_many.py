"""Lines of any input, and the sum of what became of them."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from hookbus.cli.emit import line_input
from hookbus.cli.emit.line_input import LineInput
from hookbus.cli.emit.tally import MAX_DISTINCT, EmitTally, render_tally
from hookbus.cli.errors import UsageError
from hookbus.cli.moments import parse_since
from tests.unit.decision_samples import NOON, decision


def lines_of(name: str) -> list[tuple[int, bytes]]:
    async def read() -> list[tuple[int, bytes]]:
        async with asyncio.timeout(30):
            return [line async for line in LineInput(name).lines()]

    return asyncio.run(read())


@pytest.mark.parametrize("chunk", [1, 2, 3, 1_000])
def test_lines_are_numbered_whatever_the_pieces_they_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(line_input, "CHUNK", chunk)
    file = tmp_path / "lines"
    file.write_bytes(b"one\n\n  \nfour\r\nlast")

    assert lines_of(str(file)) == [(1, b"one"), (4, b"four\r"), (5, b"last")]


def test_a_line_that_is_too_long_is_handed_over_once_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_input, "CHUNK", 4)
    monkeypatch.setattr(line_input, "MAX_LINE", 10)
    file = tmp_path / "lines"
    file.write_bytes(b"a\n" + b"x" * 100 + b"\nb\n" + b"y" * 50)

    found = lines_of(str(file))

    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert [len(line) > 10 for _, line in found] == [False, True, False, True]
    assert found[2] == (3, b"b")


def test_a_pipe_is_read_while_it_is_written() -> None:
    reader, writer = os.pipe()

    async def first() -> tuple[int, bytes]:
        source = LineInput(f"/dev/fd/{reader}")
        assert source.size is None
        threading.Timer(0, os.write, (writer, b"one\n")).start()
        async with asyncio.timeout(30):
            return await anext(source.lines())

    try:
        assert asyncio.run(first()) == (1, b"one")
    finally:
        os.close(writer)
        os.close(reader)


@pytest.mark.parametrize("name", ["/no/such", "/"])
def test_what_cannot_be_read_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        LineInput(name)


def test_the_tally_counts_everything_and_says_it() -> None:
    tally = EmitTally(seconds=2.0)
    tally.add(decision(), 3.0)
    tally.add(decision(degraded=True), 3.0)
    tally.add(decision(outcome="block", cause="verdict", code="c\x1b", by="g"), 3.0)
    tally.bad_lines = 1
    tally.undecided["timeout"] = 2
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(render_tally(tally))
    rows = [line.split() for line in capture.get().splitlines()]

    assert tally.lines == 6
    assert rows[0] == ["lines", "6", "2.0", "s,", "3", "a", "second"]
    assert ["of", "these", "1", "verdict", "(c)", "by", "g"] in rows
    assert ["undecided", "2", "timeout"] in rows
    assert tally.to_json()["outcomes"] == {"continue": 2, "block": 1}


def test_codes_that_are_never_the_same_fill_no_memory() -> None:
    tally = EmitTally()
    for number in range(3 * MAX_DISTINCT):
        tally.add(decision(outcome="block", cause="verdict", code=str(number)), 1.0)

    assert len(tally.causes) == MAX_DISTINCT + 1
    assert tally.causes["another cause"] == 2 * MAX_DISTINCT


@pytest.mark.parametrize(
    ("bad_lines", "undecided", "code"), [(0, 0, 0), (1, 0, 2), (0, 1, 5), (1, 1, 5)]
)
def test_the_exit_code_says_the_worst(bad_lines: int, undecided: int, code: int) -> None:
    tally = EmitTally(bad_lines=bad_lines)
    tally.undecided.update(["timeout"] * undecided)
    tally.add(decision(outcome="block"), 1.0)

    assert tally.exit_code == code


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("7d", timedelta(days=7)),
        ("2026-11-21T11:00:00Z", timedelta(hours=1)),
        ("2026-11-21T11:00:00", timedelta(hours=1)),
        ("2026-11-21T12:00:00+01:00", timedelta(hours=1)),
    ],
)
def test_a_moment_is_a_duration_or_a_time(text: str, ago: timedelta) -> None:
    assert parse_since(text, NOON) == NOON - ago


@pytest.mark.parametrize("text", ["", "soon", "1y", "-1h", "999999999d", "2027-01-01"])
def test_what_is_no_moment_of_the_past_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since: expected"):
        parse_since(text, NOON)
