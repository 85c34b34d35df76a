"""What the tests of the documentation share: the page, and a bus to try it on."""

from __future__ import annotations

import asyncio

import pytest

from hookbus.broker import EmbeddedBroker
from tests.docs.bus import OnBus, Scenario, T, run
from tests.docs.page import Page, read_page


@pytest.fixture(scope="session")
def page() -> Page:
    return read_page()


@pytest.fixture(scope="module")
def on_bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> OnBus:
    """Run one scenario on a bus of its own, in development mode."""

    def on_bus(scenario: Scenario[T]) -> T:
        with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("nats")) as broker:
            return asyncio.run(run(broker.url, scenario))

    return on_bus
