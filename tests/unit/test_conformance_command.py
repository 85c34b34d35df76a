"""What `hookbus conformance plugin` takes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hookbus.cli.app import make_app
from hookbus.cli.errors import UsageError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--drain"], "conformance plugin: --drain and --pid go together"),
        (["--pid", "2"], "conformance plugin: --drain and --pid go together"),
        (["--data", "{}"], "conformance plugin: --data is for one hook; name it with --hook"),
        (["--hook", "h", "--data", "{"], "--data: expected JSON: Input data was truncated"),
        (
            ["--drain", "--pid", "4194305"],
            "--pid: process 4194305 cannot be stopped: No such process",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], message: str) -> None:
    command = ["conformance", "plugin", "calm", *words]

    result = CliRunner().invoke(make_app(command), command)

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == message
