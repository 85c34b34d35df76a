"""The small form of each mode of the bench: it runs, every decision is right, it says all it has
to say. What it measures means nothing.
"""

from __future__ import annotations

import json

import pytest

from tests.bench.__main__ import MODES
from tests.bench.options import QUICK

#: By mode: what must stand in what it prints.
SAID = {
    "scale": ("bindings announced and loaded", "150", "payload, KB", "of which 5 match"),
    "telemetry": (
        "from SIGTERM to the end",
        "dead: CPU of everybody",
        "the dispatcher says nothing",
    ),
    "memory": ("idle", "+ 400", "MB more for 50,000 events"),
    "import": ("from hookbus import Emitter", "import hookbus: ms"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_small_form_of_a_mode_runs(
    name: str, nats_server_program: None, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = MODES[name].run(QUICK)

    printed = capsys.readouterr().out
    assert [text for text in SAID[name] if text not in printed] == []
    assert outcome.is_well, printed
    json.dumps(outcome.figures)
