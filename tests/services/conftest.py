"""One bus with the reference plugins, and one assistant on it, for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.commands import Bus, up
from tests.services.assistant import Assistant, serving

SETTINGS = """
[types.message_received.schema]
type = "object"
required = ["text"]
properties.text = { type = "string", not = { const = "what nobody takes" } }
"""


@pytest.fixture(scope="session")
def bus(nats_server_program: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """What a test starts on it must be gone, or removed by its name, when the test ends."""
    folder = tmp_path_factory.mktemp("bus")
    (folder / "settings.toml").write_text(SETTINGS)
    with up(folder, "--settings", str(folder / "settings.toml")) as bus:
        yield bus


@pytest.fixture(scope="session")
def assistant(bus: Bus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    with serving(tmp_path_factory.mktemp("assistant"), bus.url) as assistant:
        yield assistant
