"""deploy/: every query of the dashboard and the alerts is about what the roles really serve.

That each alert fires and each panel shows something is shown with Prometheus itself:
tests/integration/test_alerts.py and ``python -m tests.long alerts``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hookbus.families import Family
from hookbus.presence import Endpoint
from hookbus.registry.observing import ObserverState
from hookbus.server.metrics import RegistryStats, of_dispatcher, of_process, of_registry
from tests.alerts.files import ALERTS, DASHBOARD, ROOT, alerts, hastened, panels, queries
from tests.docs.test_stories import anchors
from tests.unit.test_metrics import stats

ENDS = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
OF_PROMETHEUS = {"job", "instance", "le"}
#: Words of the query language that stand where a label could.
GROUPED = re.compile(r"\b(?:by|on|group_left) \(([^)]*)\)")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
METRIC = re.compile(r"\bhookbus_\w+")


def families() -> Iterator[Family]:
    yield from of_process("dispatcher", "0.1.0", is_connected=True, is_ready=True, tasks=9)
    yield from of_dispatcher(stats(plugins=("a",), **{"a/enforce": "open"}))
    endpoints = (Endpoint("announce", "x", "q"),)
    yield from of_registry(RegistryStats(1, 1, endpoints, {("a", "b"): ObserverState()}))


SERVED = {
    family.name + end: {label for sample in family.samples for label in sample.labels}
    for family in families()
    for end in ENDS[family.kind]
}
ASKED = [(query.panel, query.expr) for query in queries()] + [(a.name, a.expr) for a in alerts()]


@pytest.mark.parametrize(("who", "expr"), ASKED)
def test_a_query_is_about_metrics_and_labels_that_are_served(who: str, expr: str) -> None:
    metrics = METRIC.findall(expr)
    assert metrics
    assert set(metrics) <= SERVED.keys()

    served = set().union(*(SERVED[metric] for metric in metrics)) | OF_PROMETHEUS
    grouped = {label.strip() for labels in GROUPED.findall(expr) for label in labels.split(",")}
    matched = {label for label, _ in LABEL.findall(expr)}
    assert grouped | matched <= served


@pytest.mark.parametrize(("who", "expr"), ASKED)
def test_a_counter_is_asked_for_its_growth_and_nothing_else_is(who: str, expr: str) -> None:
    for metric in METRIC.findall(expr):
        is_counter = metric.endswith(("_total", "_bucket", "_sum", "_count"))
        is_grown = re.search(rf"(?:rate|increase)\({metric}\b", expr) is not None
        assert is_grown == is_counter, metric


def test_a_legend_names_labels_that_the_query_keeps() -> None:
    for query in queries():
        named = set(re.findall(r"{{(\w+)}}", query.legend))
        kept = {label.strip() for by in GROUPED.findall(query.expr) for label in by.split(",")}
        if "by (" in query.expr or "on (" in query.expr:
            assert named <= kept | {"instance"}, query
        else:
            assert named <= {"instance"}, query


def test_every_metric_that_has_labels_of_its_own_is_on_the_dashboard() -> None:
    shown = {metric for query in queries() for metric in METRIC.findall(query.expr)}

    labelled = {name for name, labels in SERVED.items() if labels - {"le"}}
    histograms = {name for name in labelled if name.endswith(("_sum", "_count"))}
    # given up by stream; the dashboard has it as the one counter `unrecorded`
    assert labelled - shown == histograms | {"hookbus_given_up_messages_total"}


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    board = json.loads(DASHBOARD.read_text())

    assert (board["uid"], board["schemaVersion"]) == ("hookbus", 39)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["job"]["definition"] == "label_values(hookbus_build_info, job)"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    overlapping(board["panels"])


def overlapping(shown: list[dict[str, Any]]) -> None:
    """Each field of Grafana's grid, 24 wide, belongs to one panel at most."""
    taken: dict[tuple[int, int], str] = {}
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["description"].endswith((".", "dlq.")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == source
        assert [target["datasource"] for target in panel["targets"]] == [source] * len(
            panel["targets"]
        )
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_alert_says_what_is_wrong_and_where_it_is_explained() -> None:
    assert len({alert.name for alert in alerts()}) == ALERTS.read_text().count("- alert:") >= 16
    for alert in alerts():
        assert alert.said.keys() == {"for", "severity", "summary", "description", "runbook"}
        assert alert.said["severity"] in ("critical", "warning")
        file, _, anchor = alert.said["runbook"].partition("#")
        assert anchor in anchors(ROOT / file), alert.name


def test_what_an_alert_quotes_is_a_label_that_its_query_keeps() -> None:
    for alert in alerts():
        [*metrics] = METRIC.findall(alert.expr)
        by = GROUPED.findall(alert.expr)
        labels = set().union(*(SERVED[metric] for metric in metrics)) | {"job", "instance"}
        kept = {label.strip() for label in by[0].split(",")} if by else labels
        text = alert.said["summary"] + alert.said["description"]
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept, alert.name


def test_what_is_hastened_for_a_test_is_only_the_waiting() -> None:
    hasty = hastened(7)

    assert re.findall(r"for: (?!0s)\w+|\[(?!7s)\w+\]", hasty) == []
    assert len(hasty.splitlines()) == len(ALERTS.read_text().splitlines())


def test_the_page_of_what_to_watch_has_each_alert() -> None:
    page = (ROOT / "docs" / "operate.md").read_text()

    assert [alert.name for alert in alerts() if f"`{alert.name}`" not in page] == []
