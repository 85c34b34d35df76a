"""Prometheus scrapes a bus whose plugins fail: the alerts about that fire, and panels show it.

All alerts and all panels: ``python -m tests.long alerts``. What needs no Prometheus, and so runs
everywhere, is tests/docs/test_deploy.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.alerts.faults import faulty_bus
from tests.alerts.files import hastened, queries
from tests.alerts.prometheus import is_installed, prometheus
from tests.integration.commands import eventually

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    # in CI as well: it is no package for pip, so it cannot be asked for there
    pytest.mark.skipif(not is_installed(), reason="no prometheus (apt-get install prometheus)"),
]

#: What a bus shows on which nothing happened but plugins that fail.
FAILED = ("Calls by result", "Failures", "Breakers that are not closed", "Blocks by cause")
FIRE = {"HookbusBlockedByFailure", "HookbusPassedUnchecked", "HookbusBreakerOpen"}


def test_plugins_that_fail_fire_their_alerts_and_are_seen_on_the_panels(tmp_path: Path) -> None:
    began = time.time()
    with (
        faulty_bus(tmp_path) as bus,
        prometheus(tmp_path, bus.targets, hastened(15)) as seen,
    ):
        eventually(lambda: seen.value("count(hookbus_ready == 1)") == len(bus.targets))
        assert seen.fired() & FIRE == set()

        blocks = bus.ask_for_garbage()
        assert (blocks[0], blocks[-1]) == ("block malformed", "block breaker_open")
        assert bus.emit("response_generated", {"text": "x"}, times=3) == ["continue None"] * 3
        eventually(lambda: seen.fired() >= FIRE)
        bus.ask_for_garbage()  # what is counted for the first time has no rate yet
        asked = [query for query in queries() if query.panel in FAILED]
        assert {query.panel for query in asked} == set(FAILED)
        for query in asked:
            eventually(lambda expr=query.expr: seen.shown(expr, began, time.time() + 1))
