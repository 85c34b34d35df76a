"""A real Prometheus for a test: it scrapes what it is told, and answers queries."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hookbus.processes import spawn
from tests.integration.commands import PATIENCE, eventually
from tests.integration.worlds import free_port

SCRAPES: Final = "200ms"
_CONFIG: Final = """\
global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: hookbus
    static_configs: [{{targets: {targets}}}]
"""


def is_installed() -> bool:
    """Tell whether Debian's package ``prometheus`` is there, or another build of it."""
    return shutil.which("prometheus") is not None


class Prometheus:
    """One that runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **said: str) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(said)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, expr: str) -> float | None:
        """The only value of *expr* now; None if there is none."""
        found = self.ask("query", query=expr)["result"]
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self.ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def fired(self, seconds: float = 600.0) -> set[str]:
        """The names of the alerts that fired at any time in the last *seconds*."""
        expr = f'count_over_time(ALERTS{{alertstate="firing"}}[{round(seconds) + 1}s])'
        return {sample["metric"]["alertname"] for sample in self.ask("query", query=expr)["result"]}

    def shown(self, expr: str, start: float, end: float) -> list[Any]:
        """What a panel's *expr* was, second by second: series that were a number."""
        query = expr.replace("$__rate_interval", "30s").replace("$job", ".*")
        data = self.ask("query_range", query=query, start=f"{start}", end=f"{end}", step="1")
        return [s for s in data["result"] if any(value != "NaN" for _, value in s["values"])]


@contextmanager
def prometheus(folder: Path, targets: Iterable[str], rules: str) -> Iterator[Prometheus]:
    """Scrape *targets*, each ``HOST:PORT``, and evaluate *rules*, the text of such a file."""
    port = free_port()
    config, file = folder / "prometheus.yml", folder / "alerts.yml"
    file.write_text(rules)
    config.write_text(
        _CONFIG.format(every=SCRAPES, rules=json.dumps(str(file)), targets=json.dumps([*targets]))
    )
    program = shutil.which("prometheus")
    assert program is not None
    child = spawn(
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
    )
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: running.value("vector(1)"), OSError)
        yield running
    finally:
        child.terminate(10.0)
