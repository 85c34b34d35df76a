"""The demo's figures are right, on a terminal and as JSON lines."""

import io
import json

from rich.console import Console

from hookbus.cli.demo.command import EVENTS_PER_SECOND, pause_between
from hookbus.cli.demo.conversation import Line, load_conversation
from hookbus.cli.demo.stage import JsonStage, TerminalStage
from hookbus.cli.demo.tally import Tally, percentile
from hookbus.models import Decision, EventRef, PluginRecord

LINE = Line(
    thread="Ana",
    type="message_received",
    data={"text": "hi"},
    expect="continue",
    by=None,
    label="a greeting",
)
EVENT = EventRef("e1", "/demo", "message_received")


def record(plugin, **members):
    known = {"hook": "h", "version": "1.0.0", "phase": "mutate"}
    return PluginRecord(plugin=plugin, **known, **members)


FINE = Decision(
    id="d1", event=EVENT, outcome="continue", records=(record("redact-secrets", ms=1.0),)
)
ABSENT = Decision(
    id="d2",
    event=EVENT,
    outcome="block",
    cause="failure",
    by="redact-secrets",
    reason="redact-secrets: no_responders: start the plugin",
    records=(record("redact-secrets", ms=3.0, failure="no_responders"), record("guard", attempt=0)),
)


def told(stage, *decisions):
    tally = Tally()
    stage.started({"broker": 4710, "redact-secrets": 4711, "guard": 4712})
    for decision in decisions:
        tally.add(LINE, decision, 2.0)
        stage.decided(LINE, decision, tally)
    stage.ended(tally)


def on_terminal(*decisions, width=80, **options):
    file = io.StringIO()
    told(TerminalStage(Console(file=file, width=width, **options)), *decisions)
    return file.getvalue()


def as_json(*decisions):
    file = io.StringIO()
    told(JsonStage(file), *decisions)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_the_first_json_line_has_the_process_ids_and_the_last_the_summary():
    lines = as_json(FINE, ABSENT)

    assert lines[0] == {"started": {"broker": 4710, "redact-secrets": 4711, "guard": 4712}}
    assert [line["n"] for line in lines[1:-1]] == [1, 2]
    assert lines[-1]["summary"]["events"] == 2


def test_a_json_line_has_the_event_the_decision_and_whether_it_is_as_labelled():
    _, fine, absent, _ = as_json(FINE, ABSENT)

    assert fine["met"] is True
    assert fine["data"] == {"text": "hi"}
    assert absent["met"] is False
    assert absent["expect"] == "continue"
    assert absent["decision"]["by"] == "redact-secrets"
    assert absent["decision"]["records"][0]["failure"] == "no_responders"


def test_the_summary_counts_what_each_plugin_did():
    summary = as_json(FINE, ABSENT, FINE)[-1]["summary"]

    assert summary["outcomes"] == {"continue": 2, "intercept": 0, "block": 1}
    assert summary["plugins"]["redact-secrets"] == {
        "asked": 3,
        "intercepted": 0,
        "blocked": 0,
        "failed": 1,
        "p50_ms": 1.0,
        "p99_ms": 3.0,
    }
    assert summary["plugins"]["guard"]["asked"] == 0
    assert summary["plugins"]["guard"]["p50_ms"] is None


def test_the_summary_names_what_is_not_as_labelled():
    summary = as_json(FINE, ABSENT)[-1]["summary"]

    assert summary["met"] == 1
    assert summary["misses"] == [
        {
            "n": 2,
            "expect": "continue",
            "by": None,
            "got": "block",
            "got_by": "redact-secrets",
            "reason": "redact-secrets: no_responders: start the plugin",
        }
    ]


def test_the_terminal_shows_processes_thread_and_figures():
    text = on_terminal(FINE, FINE)

    assert "broker 4710   redact-secrets 4711   guard 4712\n" in text
    assert text.count("Ana ──") == 1
    assert "2 events   ✓ 2 continue   ~ 0 intercept   ✗ 0 block" in text
    assert "labels met: 2 of 2" in text


def test_the_terminal_says_which_decision_is_not_as_labelled_at_once_and_at_the_end():
    text = on_terminal(FINE, ABSENT)

    assert "             not as labelled: expected continue\n" in text
    assert "labels met: 1 of 2" in text
    end = " ".join(text[text.index("labels met") :].split())
    assert "2 a greeting: expected continue, got block: redact-secrets: no_responders" in end


def test_of_many_misses_only_the_first_are_repeated():
    text = on_terminal(*[ABSENT] * 9)

    assert "… and 4 more" in text


def test_what_is_piped_has_no_control_characters_and_fits():
    for width in (80, 120):
        text = on_terminal(FINE, ABSENT, width=width)

        assert [c for c in text if not c.isprintable() and c != "\n"] == []
        assert max(map(len, text.splitlines())) <= width


def test_a_percentile_is_a_value_that_occurred():
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0
    assert percentile([5.0], 99) == 5.0
    assert percentile([], 50) is None


def test_the_observer_is_counted_where_there_is_one():
    watched = Tally(observed=1)
    watched.add(LINE, FINE, 2.0)
    file = io.StringIO()
    TerminalStage(Console(file=file, width=80)).ended(watched)

    assert "\naudit-log observed 1 of 1 events\n" in file.getvalue()
    assert "observed" not in on_terminal(FINE)
    assert watched.to_json()["observed"] == 1


def test_who_watches_is_told_how_to_kill_the_redactor_and_a_pipe_is_not():
    assert "kill -9 4711" in on_terminal(FINE, force_terminal=True, color_system=None)
    assert "kill -9" not in on_terminal(FINE)


def test_there_is_a_pause_only_for_a_person_or_on_demand():
    assert pause_between(fast=False, speed=None, is_watched=False) == 0
    assert pause_between(fast=True, speed=None, is_watched=True) == 0
    assert pause_between(fast=False, speed=None, is_watched=True) == 1 / EVENTS_PER_SECOND
    assert pause_between(fast=False, speed=4.0, is_watched=False) == 0.25


def test_a_watched_demo_leaves_time_to_start_within_its_fifteen_seconds():
    assert len(load_conversation()) / EVENTS_PER_SECOND < 8
