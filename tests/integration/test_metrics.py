"""`GET /metrics` of real roles, while they work."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hookbus.emitter import Emitter
from tests.integration.commands import PATIENCE, Bus, eventually, plugin, running, up
from tests.integration.test_server_roles import health_url, serve

pytestmark = [
    pytest.mark.usefixtures("nats_server_program"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

IN_FLIGHT = 64
#: It answers when the file is there that its event names.
HOLDS = """\
import asyncio
from pathlib import Path
from hookbus import Plugin

plugin = Plugin("holds", version="1.0.0")

@plugin.hook("message_received", phase="validate", timeout_ms=30_000)
async def check(event):
    while not Path(event.data["text"]).exists():
        await asyncio.sleep(0.01)

if __name__ == "__main__":
    plugin.run()
"""


@pytest.fixture(scope="module")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp("metrics")
    with up(folder, "--no-bundled") as bus, plugin(bus, folder, "holds", HOLDS):
        yield bus


def scrape(url: str) -> dict[str, float]:
    """Every sample that has no labels beside `plugin` and `le`, as ``name{plugin,le}``."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = response.read().decode()
    return {
        ",".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_while_64_are_in_flight_is_consistent_and_counters_only_grow(
    bus: Bus, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate = tmp_path_factory.mktemp("gate") / "open"
    before = scrape(bus.http)

    async def scenario() -> dict[str, float]:
        async with Emitter.connect(bus.url, source="/test", timeout=None) as emitter:
            emits = [
                asyncio.create_task(
                    emitter.emit("message_received", {"text": str(gate)}, hbtimeoutms=30_000)
                )
                for _ in range(IN_FLIGHT)
            ]
            while (during := await asyncio.to_thread(scrape, bus.http))[
                "hookbus_in_flight_events"
            ] < IN_FLIGHT:
                await asyncio.sleep(0.01)
            gate.touch()
            decisions = await asyncio.gather(*emits)
        assert {decision.outcome for decision in decisions} == {"continue"}
        return during

    during = asyncio.run(scenario())
    after = eventually(
        lambda: found if (found := scrape(bus.http))["hookbus_in_flight_events"] == 0 else None
    )

    assert during["hookbus_in_flight_events"] == IN_FLIGHT
    assert after["hookbus_decisions_total"] == before["hookbus_decisions_total"] + IN_FLIGHT
    count = "hookbus_plugin_duration_seconds_count,holds"
    assert after[count] == before.get(count, 0) + IN_FLIGHT
    assert (
        after["hookbus_decision_duration_seconds_bucket,+Inf"]
        == (after["hookbus_decision_duration_seconds_count"])
    )
    gauges = ("hookbus_in_", "hookbus_conf", "hookbus_tasks", "hookbus_unacknowledged_")
    growing = [name for name in before if not name.startswith(gauges)]
    for one, next_ in ((before, during), (during, after)):
        assert [name for name in growing if next_[name] < one[name]] == []
    assert (after["hookbus_ready"], after["hookbus_connected"]) == (1, 1)
    assert after["hookbus_configuration_generation"] >= 1


def test_a_registry_serves_what_it_binds_and_was_asked(
    bus: Bus, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("registry")
    command = [*serve("registry"), "--default-mode", "development"]
    with running(command, folder, HOOKBUS_NATS_URL=bus.url) as process:
        url = health_url(process)
        first = eventually(
            lambda: found if (found := scrape(url))["hookbus_ready"] else None, KeyError
        )
        for _ in range(20):  # one of the two registries answers each
            bus.control("list")
        asked = "hookbus_registry_requests_total,control"
        found = eventually(lambda: m if (m := scrape(url))[asked] > first[asked] else None)

    assert found["hookbus_build_info,registry,0.1.0"] == 1
    assert found["hookbus_bound_plugins"] == 1
    assert found["hookbus_configuration_generation"] >= 1


def test_a_role_without_a_broker_serves_metrics_that_say_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("alone")
    with running(serve("dispatcher"), folder, HOOKBUS_NATS_URL="nats://127.0.0.1:1") as process:
        found = scrape(health_url(process))

    assert found.pop("hookbus_tasks") > 0
    assert found == {
        "hookbus_build_info,dispatcher,0.1.0": 1,
        "hookbus_connected": 0,
        "hookbus_ready": 0,
    }
