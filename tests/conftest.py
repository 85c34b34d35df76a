"""The real broker that integration tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hookbus.broker import EmbeddedBroker, find_nats_server
from hookbus.errors import BrokerError


@pytest.fixture(scope="session")
def nats_server_program() -> None:
    """Skip what needs a real nats-server where there is none; in CI that is an error."""
    try:
        find_nats_server()
    except BrokerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def nats_broker(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedBroker]:
    """One broker with JetStream for the whole session: choose names of your own on it."""
    with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("nats")) as broker:
        yield broker


@pytest.fixture
def own_broker(
    nats_server_program: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedBroker]:
    """A fresh broker for one test, which may kill it (starting takes 20 ms)."""
    with EmbeddedBroker.start(data_dir=tmp_path_factory.mktemp("nats")) as broker:
        yield broker
