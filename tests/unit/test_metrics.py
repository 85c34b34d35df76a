"""What the roles serve at /metrics: read back with prometheus_client, which wrote none of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hookbus.dispatch.breaker import Breakers
from hookbus.families import Family, gauge
from hookbus.measures import BUCKETS_MS, COUNTERS, Counters, Latencies
from hookbus.presence import Endpoint
from hookbus.server.exposition import exposition
from hookbus.server.metrics import RegistryStats, of_dispatcher, of_process, of_registry
from hookbus.snapshot import Binding, BreakerLimits


def stats(*, plugins: tuple[str, ...] = (), **breakers: str) -> dict[str, Any]:
    counters, latencies = Counters(), Latencies()
    latencies.know(["message_received"])
    counters.count("decisions", 3)
    for ms in (0.1, 0.11, 99_000.0):
        latencies.decided("block", "verdict", "message_received", ms)
    for plugin in plugins:
        latencies.answered(plugin, "validate", "timeout", 20.0)
    return {
        "generation": 7,
        "in_flight": 2,
        "max_in_flight": 64,
        "breakers": breakers,
        "counters": counters.as_dict(),
        "outcomes": latencies.outcomes(),
        "results": latencies.results(),
        "failures": {plugin: {"timeout": 2} for plugin in plugins},
        "latencies": latencies.as_dict(),
        "recording": {
            "HOOKBUS_DECISIONS": {
                "pending": 3,
                "pending_bytes": 2_100,
                "oldest_ms": 1_500,
                "given_up": 2,
                "error": "insufficient storage resources available",
            }
        },
    }


def read(families: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    text = exposition(families).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_counter_of_a_dispatcher_is_a_metric() -> None:
    found = read(of_dispatcher(stats()))

    assert {name for name in COUNTERS if (f"hookbus_{name}_total", ()) in found} == set(COUNTERS)
    assert found["hookbus_decisions_total", ()] == 3


def test_buckets_are_cumulative_and_in_seconds() -> None:
    found = read(of_dispatcher(stats(plugins=("guard",))))
    name = "hookbus_decision_duration_seconds"

    buckets = {labels[0][1]: v for (n, labels), v in found.items() if n == f"{name}_bucket"}
    assert [float(bound) for bound in buckets][:-1] == [ms / 1000 for ms in BUCKETS_MS]
    assert list(buckets)[-1] == "+Inf"
    assert list(buckets.values()) == [1.0, *[2.0] * 16, 3.0]
    assert found[f"{name}_count", ()] == 3
    assert found[f"{name}_sum", ()] == pytest.approx(99.00021)
    failed = (("failure", "timeout"), ("plugin", "guard"))
    assert found["hookbus_plugin_failures_total", failed] == 2
    assert found["hookbus_plugin_duration_seconds_sum", (("plugin", "guard"),)] == 0.02


def test_a_breaker_that_is_not_closed_is_a_sample() -> None:
    found = read(of_dispatcher(stats(**{"guard/enforce": "open", "guard/warn": "half_open"})))

    shown = {labels: v for (n, labels), v in found.items() if n == "hookbus_breaker_state"}
    assert shown == {
        (("mode", "enforce"), ("plugin", "guard"), ("state", "open")): 1,
        (("mode", "warn"), ("plugin", "guard"), ("state", "half_open")): 1,
    }


def test_what_is_not_stored_is_told_by_stream() -> None:
    found = read(of_dispatcher(stats()))

    stream = (("stream", "HOOKBUS_DECISIONS"),)
    assert found["hookbus_unacknowledged_messages", stream] == 3
    assert found["hookbus_unacknowledged_oldest_seconds", stream] == 1.5
    assert found["hookbus_given_up_messages_total", stream] == 2


def test_a_registry_tells_its_generation_and_its_requests() -> None:
    announced = Endpoint("announce", "x", "q")
    announced.done(0.1)
    announced.done(0.1, "failed")

    found = read(of_registry(RegistryStats(5, 2, (announced, Endpoint("control", "x", "q")))))

    assert found == {
        ("hookbus_configuration_generation", ()): 5,
        ("hookbus_bound_plugins", ()): 2,
        ("hookbus_registry_requests_total", (("endpoint", "announce"),)): 2,
        ("hookbus_registry_requests_total", (("endpoint", "control"),)): 0,
        ("hookbus_registry_errors_total", (("endpoint", "announce"),)): 1,
        ("hookbus_registry_errors_total", (("endpoint", "control"),)): 0,
    }


def everything() -> list[Family]:
    return [
        *of_process("dispatcher", "0.1.0", is_connected=True, is_ready=False, tasks=9),
        *of_dispatcher(stats(plugins=("a", "b"), **{"a/enforce": "open"})),
        *of_registry(RegistryStats(5, 2, (Endpoint("announce", "x", "q"),))),
    ]


def test_names_say_what_and_in_which_unit() -> None:
    for family in everything():
        assert re.fullmatch(r"hookbus_[a-z]+(_[a-z]+)*", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        is_time = family.kind == "histogram" or "oldest" in family.name
        assert family.name.endswith("_seconds") == is_time
        assert family.help.endswith(".")


def test_labels_are_of_bounded_sets_only() -> None:
    labels = {name for family in everything() for s in family.samples for name in s.labels}

    of_roles = {"role", "version", "endpoint", "le"}
    of_events = {"outcome", "cause", "type"}
    of_plugins = {"plugin", "phase", "result", "failure", "mode", "state"}
    assert labels == of_roles | of_events | of_plugins | {"stream"}


def test_what_a_label_holds_cannot_break_a_line() -> None:
    odd = 'a"b\\c\nd'

    [family] = text_string_to_metric_families(exposition([gauge("x", "y\nz", 1, l=odd)]).decode())

    assert family.documentation == "y\nz"
    assert family.samples[0].labels == {"l": odd}


def test_an_open_breaker_tells_how_long_it_rests() -> None:
    breakers = Breakers()
    binding = Binding(plugin="a", hook="h", version="1.0.0", type="t", phase="validate")
    breaker = breakers.of(binding, BreakerLimits(failures=1, open_ms=1_000))
    breaker.record("timeout", is_shortened=False, now=10.0, sent=9.0)

    assert breakers.rests_ms(10.25) == {"a/enforce": 750}
    assert breakers.rests_ms(12.0) == {"a/enforce": 0}
    breaker.announced()
    assert breakers.rests_ms(10.25) == {}
