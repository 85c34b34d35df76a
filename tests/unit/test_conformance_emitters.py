"""The checks of emitters in memory: an honest one passes, one mistake fails one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hookbus.conformance.check import run_checks
from hookbus.conformance.emitters.command import ended
from hookbus.conformance.emitters.decisions import changed
from hookbus.conformance.emitters.run import DEFAULT_DATA, DEFAULT_TYPE, EMITTER_CHECKS
from hookbus.conformance.emitters.stage import Emitter, Ended, Request, Stage
from hookbus.conformance.report import Finding, Report
from hookbus.testing import MemoryBroker, MemoryMessage, MemoryTransport, run_virtual
from tests.unit.conformance_emitters import RawEmitter, SdkEmitter

#: mistake → the one point that it fails.
MISTAKES = {
    "emits nothing": "emits",
    "another type": "emits",
    "no specversion": "event",
    "no source": "event",
    "another type in the body": "event",
    "hardly any time": "event",
    "text for data": "event-data",
    "no inbox": "inbox",
    "says nothing": "outcome",
    "forgets its data": "continue",
    "merges": "intercept",
    "empty is none": "intercept-empty",
    "ignores blocks": "block",
    "only verdicts block": "block-causes",
    "asks twice": "emits",
    "knows one refusal": "refused",
    "no version is a yes": "no-version",
    "strict keys": "unknown-keys",
    "impatient": "waits",
    "refused is blocked": "refused",
    "unavailable is a yes": "unavailable",
    "no JSON is a yes": "not-json",
    "empty is a yes": "empty-reply",
    "no outcome is a yes": "no-outcome",
    "perhaps is a yes": "unknown-outcome",
    "needs no data": "no-data",
    "another event is a yes": "other-event",
    "version 2 is a yes": "other-version",
    "nobody is a yes": "no-responders",
    "late is a yes": "late",
    "waits too long": "late",
    "broker gone is a yes": "broker-gone",
    "broker absent is a yes": "broker-absent",
    "one id": "own-ids",
}


def examined(make: Callable[[MemoryBroker], Emitter]) -> list[Finding]:
    async def scenario() -> list[Finding]:
        broker = MemoryBroker()

        async def stop() -> None:
            broker.disconnect()

        transport = MemoryTransport(broker, principal="dispatcher")
        stage = Stage(transport, make(broker), DEFAULT_TYPE, DEFAULT_DATA, stop)
        return await run_checks(stage, EMITTER_CHECKS)

    return run_virtual(scenario())


def wrong(mistake: str) -> Callable[[MemoryBroker], Emitter]:
    return lambda broker: RawEmitter(broker, mistake)


def points(findings: list[Finding], status: str) -> list[str]:
    return [finding.point for finding in findings if finding.status == status]


def test_an_emitter_that_keeps_the_protocol_passes_every_point() -> None:
    assert points(examined(RawEmitter), "pass") == [check.point for check in EMITTER_CHECKS]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake_fails_one_point(mistake: str) -> None:
    assert points(examined(wrong(mistake)), "fail") == [MISTAKES[mistake]]


def test_the_sdk_keeps_the_protocol() -> None:
    assert points(examined(SdkEmitter), "pass") == [check.point for check in EMITTER_CHECKS]


def test_every_point_can_be_failed() -> None:
    assert {check.point for check in EMITTER_CHECKS} == set(MISTAKES.values())


def test_an_emitter_that_names_no_time_is_only_warned() -> None:
    findings = examined(wrong("names no time"))

    assert (points(findings, "fail"), points(findings, "warn")) == ([], ["late"])


def test_what_follows_from_silence_is_skipped() -> None:
    findings = examined(wrong("emits nothing"))

    assert {finding.status for finding in findings[1:]} == {"skipped"}
    assert findings[0].seen == ("nothing came on hookbus.emit.>; the command's end: no outcome")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"text": "hi", "user": "u1"}, {"text": "[changed by hookbus conformance]"}),
        ({"n": 1}, {"n": 1}),
        ({}, {}),
        (5, "[changed by hookbus conformance]"),
    ],
)
def test_changed_data_keeps_its_shape(data: Any, expected: Any) -> None:
    assert changed(data) == expected


@pytest.mark.parametrize(
    ("out", "err", "expected"),
    [
        (b'{"outcome":"block"}\n', b"", Ended("block")),
        (b'connected\n{"outcome":"continue","data":{}}\n\n', b"noise", Ended("continue", {})),
        (b"", b"", Ended(problem="no outcome: it printed nothing; exit code 1")),
        (
            b"{}",
            b"Traceback\nKeyError: 'x'\n",
            Ended(
                problem="no outcome: its last line on stdout was {}; exit code 1;"
                " on stderr: KeyError: 'x'"
            ),
        ),
        (
            b"\xff",
            b"",
            Ended(problem="no outcome: its last line on stdout was \ufffd; exit code 1"),
        ),
    ],
)
def test_the_last_line_says_how_it_ended(out: bytes, err: bytes, expected: Ended) -> None:
    assert ended(out, err, 1) == expected


def test_the_report_of_an_emitter_says_so_in_json() -> None:
    report = Report("node emitter.mjs", None, (), "emitter")

    assert report.to_json() == {
        "emitter": "node emitter.mjs",
        "version": None,
        "conforms": True,
        "counts": {"pass": 0, "fail": 0, "warn": 0, "skipped": 0},
        "findings": (),
    }


def test_the_id_of_an_event_in_binary_mode_is_not_that_of_its_data() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-source": "/x",
        "ce-type": "order_placed",
        "content-type": "application/json",
    }
    message = MemoryMessage("hookbus.emit.x.order_placed", b'{"id": "o-17"}', "_INBOX.x", headers)

    assert Request(message, MemoryTransport(MemoryBroker())).event_id == "e-1"
