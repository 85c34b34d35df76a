"""What the dashboard and the alerts ask Prometheus, read from their files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "hookbus.json"
ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"

_RULE: Final = re.compile(r"^      - alert: (\w+)\n((?:        .*\n)+)", re.MULTILINE)
_FIELD: Final = re.compile(r"^ +(\w+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Alert:
    """One rule, with what its labels and annotations say, by name."""

    name: str
    expr: str
    said: dict[str, str]


@dataclass(frozen=True)
class Query:
    """What one panel asks."""

    panel: str
    expr: str
    legend: str


def alerts() -> list[Alert]:
    """The rules; each is written as plain lines, so that no YAML is needed to read them."""
    found = []
    for name, body in _RULE.findall(ALERTS.read_text()):
        said = {key: value.strip("'") for key, value in _FIELD.findall(body) if value}
        found.append(Alert(name, said.pop("expr"), said))
    return found


def panels() -> list[dict[str, Any]]:
    """All panels but the rows' headings."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> list[Query]:
    """What all panels ask."""
    return [
        Query(panel["title"], target["expr"], target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]


def hastened(seconds: int) -> str:
    """The alerts' file with no waiting, and windows of so many seconds."""
    text = re.sub(r"^(        for:) \w+$", r"\1 0s", ALERTS.read_text(), flags=re.MULTILINE)
    return re.sub(r"\[\d+m\]", f"[{seconds}s]", text)
