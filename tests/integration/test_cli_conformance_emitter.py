"""`hookbus conformance emitter`: emitters of every kind, run as commands and in this process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hookbus import InvalidEvent, SyncEmitter, Unavailable
from hookbus.conformance import examine_emitter
from hookbus.conformance.emitters.run import EMITTER_CHECKS, examine_run_by
from hookbus.conformance.emitters.stage import Ended
from tests.docs.page import read_page
from tests.integration.commands import hookbus

pytestmark = pytest.mark.usefixtures("nats_server_program")


class SyncSdkEmitter:
    """Ends as `hookbus.SyncEmitter` does; a new one for each event, as in a new process."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, event_type: str, data: Any) -> Ended:
        return await asyncio.to_thread(self._run, event_type, data)

    def _run(self, event_type: str, data: Any) -> Ended:
        emitter = SyncEmitter(self._url, source="/sync")
        try:
            decision = emitter.emit(event_type, data)
        except InvalidEvent:
            return Ended("refused")
        except Unavailable:
            return Ended("unavailable")
        finally:
            emitter.close()
        return Ended(decision.outcome, decision.data)


def test_the_emitter_of_the_page_conforms(tmp_path: Path) -> None:
    script = tmp_path / "emitter.py"
    script.write_text(read_page().blocks["emitter"])

    report = asyncio.run(examine_emitter([sys.executable, str(script)]))

    assert [f for f in report.findings if f.status != "pass"] == []
    assert [f.point for f in report.findings] == [check.point for check in EMITTER_CHECKS]


def test_json_says_which_command_failed_where() -> None:
    done = hookbus("conformance", "emitter", "--json", "--", "true", "--fast")

    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert (report["emitter"], report["conforms"]) == ("true --fast", False)
    assert [f["point"] for f in report["findings"] if f["status"] == "fail"] == ["emits"]


def test_the_sync_emitter_of_the_sdk_conforms() -> None:
    report = asyncio.run(examine_run_by(SyncSdkEmitter, "sync"))

    assert [f for f in report.findings if f.status != "pass"] == []


def test_a_command_that_emits_nothing_fails_within_80_columns() -> None:
    complaint = "import sys; sys.exit('no module named \x1b[2Jnats')"

    done = hookbus("conformance", "emitter", "--", sys.executable, "-c", complaint)

    assert (done.returncode, done.stderr) == (1, "")
    assert max(map(len, done.stdout.splitlines()[1:-1])) <= 80
    assert "\x1b" not in done.stdout
    assert "exit code 1" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1].endswith("does not conform: 1 fail   26 skipped")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--type", "Tool", "--", "true"], "--type: expected a type such as tool_invoked, got"),
        (["--data", "{", "--", "true"], "--data: expected JSON: "),
        (["--", "no-such-program"], "'no-such-program' cannot be started: No such file"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(words: list[str], message: str) -> None:
    done = hookbus("conformance", "emitter", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
