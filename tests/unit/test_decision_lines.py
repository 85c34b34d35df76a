"""What is logged of decisions: which lines, how often, and what never stands in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from hookbus.decision_lines import DecisionLines, ToldCounters
from hookbus.models import Decision, EventRef, PluginRecord
from hookbus.seldom import EVERY, MAX_KEYS, Seldom
from hookbus.server.logs import configure_logs
from hookbus.wire.event import Event, Inbound

SECRET = "hunter2"  # stands for whatever an event or a plugin says


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def level(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "hookbus.decisions"):
        yield


def failed(failure: str = "timeout", plugin: str = "geo", **members: object) -> PluginRecord:
    usual = {"hook": "h", "version": "1.0.0", "phase": "validate", "reason": SECRET, "ms": 200.1}
    said = {**usual, "resolution": "failed_closed", **members}
    return PluginRecord(plugin=plugin, failure=failure, **said)  # type: ignore[arg-type]


def decide(lines: DecisionLines, *records: PluginRecord, **members: object) -> None:
    event = Event(
        specversion="1.0", id=SECRET, source=SECRET, type="message_received", data={"text": SECRET}
    )
    said = {
        "id": "01a1",
        "outcome": "continue",
        "reason": SECRET,
        "message": SECRET,
        "warnings": (SECRET,),
        "trace_id": "4bf9",
        **members,
    }
    reference = EventRef(SECRET, SECRET, "message_received")
    decision = Decision(event=reference, records=records, **said)  # type: ignore[arg-type]
    lines.on_decision(Inbound(event, SECRET.encode(), SECRET), decision, 0.0123)


def word(record: logging.LogRecord) -> str:
    return record.getMessage().partition(" ")[0]


def fields(record: logging.LogRecord) -> dict[str, object]:
    usual = vars(logging.makeLogRecord({}))
    return {k: v for k, v in vars(record).items() if k not in usual and k != "message"}


def test_a_failed_plugin_is_a_warning_with_the_ids_that_lead_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decide(DecisionLines(Clock()), failed(), outcome="block", cause="failure", code="timeout")

    [line] = caplog.records
    assert (line.levelname, word(line)) == ("WARNING", "plugin_failed")
    assert fields(line) == {
        "plugin": "geo",
        "hook": "h",
        "failure": "timeout",
        "resolution": "failed_closed",
        "ms": 200.1,
        "type": "message_received",
        "decision_id": "01a1",
        "trace_id": "4bf9",
    }


def test_a_plugin_that_fails_open_is_a_warning_too(caplog: pytest.LogCaptureFixture) -> None:
    decide(DecisionLines(Clock()), failed(resolution="failed_open"), degraded=True)

    assert [fields(line)["resolution"] for line in caplog.records] == ["failed_open"]


def test_with_plain_logging_a_line_is_its_word_and_its_fields(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decide(DecisionLines(Clock()), failed(), outcome="block", cause="failure", code="timeout")
    ToldCounters(Clock()).count("late_reply", plugin="geo")

    assert caplog.messages == [
        "plugin_failed plugin=geo hook=h failure=timeout resolution=failed_closed ms=200.1"
        " type=message_received decision_id=01a1 trace_id=4bf9",
        "reply_dropped counter=late_reply plugin=geo",
    ]


def test_a_degraded_decision_says_so_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "hookbus.decisions"):
        lines = DecisionLines(Clock())
        decide(lines, failed(resolution="failed_open"), degraded=True)
        decide(lines)

    shown = [fields(line).get("degraded") for line in caplog.records if word(line) == "decided"]
    assert shown == [True, None]


def test_a_code_that_a_plugin_chose_cannot_steer_a_terminal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "hookbus.decisions"):
        decide(DecisionLines(Clock()), outcome="block", cause="verdict", code="\x1b[2J\nforged")

    [line] = caplog.messages
    assert " code=[2J forged " in line


def test_a_block_that_no_plugin_is_to_blame_for_names_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decide(DecisionLines(Clock()), outcome="block", cause="limit", code="overloaded", trace_id=None)

    [line] = caplog.records
    assert word(line) == "event_blocked"
    shown = fields(line)
    assert (shown["cause"], shown["code"]) == ("limit", "overloaded")
    assert "trace_id" not in shown


@pytest.mark.parametrize("members", [{}, {"outcome": "block", "cause": "verdict", "by": "geo"}])
def test_what_goes_as_it_is_meant_is_no_line(
    caplog: pytest.LogCaptureFixture, members: dict[str, object]
) -> None:
    decide(DecisionLines(Clock()), **members)

    assert caplog.records == []


def test_a_thousand_failures_are_one_line_in_ten_seconds_and_the_next_says_how_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    lines = DecisionLines(clock)

    for _ in range(1_000):
        decide(lines, failed(), outcome="block", cause="failure")
    decide(lines, failed("malformed"), outcome="block", cause="failure")
    clock.now += EVERY
    decide(lines, failed(), outcome="block", cause="failure")

    shown = [(fields(line)["failure"], fields(line).get("left_out")) for line in caplog.records]
    assert shown == [("timeout", None), ("malformed", None), ("timeout", 999)]


def test_at_debug_each_decision_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "hookbus.decisions"):
        lines = DecisionLines(Clock())
        for _ in range(3):
            decide(lines, outcome="block", cause="verdict", by="geo", code="abroad", generation=7)

    assert [word(line) for line in caplog.records] == ["decided"] * 3
    assert fields(caplog.records[0]) == {
        "outcome": "block",
        "cause": "verdict",
        "by": "geo",
        "code": "abroad",
        "generation": 7,
        "ms": 12.3,
        "type": "message_received",
        "decision_id": "01a1",
        "trace_id": "4bf9",
    }


def test_the_level_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = DecisionLines(Clock())
    monkeypatch.setattr(logging.Logger, "isEnabledFor", None)  # who asks now fails

    decide(lines)

    assert caplog.records == []


def test_no_line_has_anything_of_the_event_or_of_what_a_plugin_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    try:
        for as_json in (True, False):
            configure_logs(as_json=as_json, level=logging.DEBUG)
            logging.getLogger("hookbus.decisions").setLevel(logging.NOTSET)
            lines = DecisionLines(Clock())
            record = failed(annotations={"a": SECRET}, code=SECRET, notes=({"kind": SECRET},))
            decide(lines, record, outcome="block", cause="failure", code="timeout", by="geo")
            decide(lines, degraded=True)
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]

    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 8
    assert SECRET not in printed
    assert [line.count("plugin_failed") for line in printed.splitlines()] == [1, 0, 0, 0] * 2
    assert [line.count("01a1") for line in printed.splitlines()] == [1] * 8
    first = json.loads(printed.splitlines()[0])
    assert (first["event"], first["trace_id"], first["level"]) == (
        "plugin_failed",
        "4bf9",
        "warning",
    )


def test_what_a_line_quotes_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    try:
        configure_logs(as_json=False)
        log = logging.getLogger("hookbus.test")
        log.warning("odd: %s", "\x1b[2J\nforged", extra={"code": "\x1b[1m"})
        try:
            raise ValueError("\x1b[2J")
        except ValueError:
            log.exception("odd")
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]

    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    assert [line for line in printed.splitlines() if line.startswith("forged")] == []
    assert "ValueError" in printed


def test_late_and_foreign_replies_are_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    counters = ToldCounters(clock)

    for _ in range(5):
        counters.count("late_reply", plugin="slow")
        counters.count("decisions")
    counters.count("spoofed_reply", plugin="no name\x1b[31m")
    counters.count("late_reply", plugin="slower")
    clock.now += EVERY
    counters.count("late_reply", plugin="slow")

    assert counters["late_reply"] == 7
    shown = [
        (line["counter"], line["plugin"], line.get("left_out"))
        for line in map(fields, caplog.records)
    ]
    assert shown == [
        ("late_reply", "slow", None),
        ("spoofed_reply", "", None),
        ("late_reply", "slower", None),
        ("late_reply", "slow", 4),
    ]


def test_seldom_tells_only_so_many_things_apart() -> None:
    seldom = Seldom(Clock())

    first = [seldom.left_out(number) for number in range(MAX_KEYS + 10)]

    assert first == [0] * (MAX_KEYS + 1) + [None] * 9
