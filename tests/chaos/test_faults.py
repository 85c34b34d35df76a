"""Each kind of fault once, and shortly, in the middle of 64 emits.

All of them, for as long as they last in life, and with an observer: python -m tests.chaos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from hookbus.broker import EmbeddedBroker
from tests.chaos.answers import without_observer
from tests.chaos.cluster import Cluster
from tests.chaos.links import Links, links
from tests.chaos.trial import Result, trial
from tests.chaos.troubles import (
    Trouble,
    broker_killed,
    broker_stopped,
    cut,
    killed,
    slow,
    stopped,
)

LINKED = ("dispatcher-1", "sieve")
#: Milliseconds: long, so that nothing but what is struck fails on a busy machine.
PLUGIN_TIMEOUT_MS = 1_500


@dataclass(frozen=True)
class Site:
    cluster: Cluster
    broker: EmbeddedBroker
    links: Links


@pytest.fixture(scope="module")
def site(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker.start(data_dir=folder / "nats"))
        ways = stack.enter_context(links(broker.port, LINKED))
        settings = without_observer(PLUGIN_TIMEOUT_MS)
        cluster = Cluster(stack, folder, broker.url, settings=settings, links=ways.urls)
        yield Site(cluster, broker, ways)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda site: killed(site.cluster, "sieve"), id="plugin-killed"),
        pytest.param(lambda site: broker_killed(site.broker), id="broker-killed"),
        pytest.param(lambda site: broker_stopped(site.broker, 0.5), id="broker-stopped"),
        pytest.param(lambda site: stopped(site.cluster, "sieve", 0.5), id="plugin-stopped"),
        pytest.param(lambda site: slow(site.links, "dispatcher-1", 0.02, 0.3), id="slow-link"),
        pytest.param(lambda site: cut(site.links, "dispatcher-1", 0.3), id="cut-link"),
    ],
)
def test_a_fault_costs_no_wrong_decision_and_nothing_that_was_acknowledged(
    site: Site, make: Callable[[Site], Trouble]
) -> None:
    result: Result = trial(site.cluster, make(site), calm=0.3)

    assert result.problems == ()
    assert (result.in_flight, result.wrong, result.lost, result.doubled) == (64, 0, 0, 0)
