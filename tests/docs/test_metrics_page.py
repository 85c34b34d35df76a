"""docs/metrics.md names every metric with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from hookbus.measures import COUNTERS
from hookbus.presence import Endpoint
from hookbus.registry.observing import ObserverState
from hookbus.server.metrics import RegistryStats, of_dispatcher, of_process, of_registry
from tests.docs.page import Page
from tests.unit.test_metrics import stats

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_names_every_metric_with_its_labels_and_no_other() -> None:
    families = [
        *of_process("dispatcher", "0.1.0", is_connected=True, is_ready=True, tasks=9),
        *of_dispatcher(stats(plugins=("a",), **{"a/enforce": "open"})),
        *of_registry(
            RegistryStats(1, 1, (Endpoint("announce", "x", "q"),), {("a", "b"): ObserverState()})
        ),
    ]
    served = {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in families
    }
    shown = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1]))
        for row in Page(PAGE.read_text(), {}).rows("metric")
    }

    assert shown | {f"hookbus_{name}_total": set() for name in COUNTERS} == served
