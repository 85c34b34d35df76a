"""The fixture ``hookbus`` for pytest, which finds it by itself where hookbus is installed.

Only the standard library and pytest until a test asks for it: every run of pytest loads this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hookbus.testing.sync_bus import SyncBus

MARKER = "hookbus_broker"

#: Variables that say how to connect: code under test must not meet the developer's own bus.
_CONNECTION = ("HOOKBUS_NATS_URL", "HOOKBUS_PRINCIPAL", "HOOKBUS_CREDS", "HOOKBUS_TLS_")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}: the fixture hookbus stands on a real nats-server instead of memory;"
        " skips where there is none, and fails with CI=true",
    )


@pytest.fixture
def hookbus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SyncBus]:
    """A whole bus for this test: plug plugins in, or script what they answer, and emit.

    In memory, or with ``@pytest.mark.hookbus_broker`` on a nats-server of the test's own, which
    then is ``HOOKBUS_NATS_URL``. See ``hookbus.testing.SyncBus``, and beside it ``assert_blocks``,
    ``assert_intercepts`` and ``assert_continues``.
    """
    is_real = request.node.get_closest_marker(MARKER) is not None
    try:
        from hookbus.testing.sync_bus import SyncBus  # only here: most runs need no bus
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] == "hookbus":
            raise
        pytest.fail(
            f"the fixture 'hookbus' needs the module {e.name!r}: pip install 'hookbus[testing]'",
            pytrace=False,
        )
    if is_real:
        _demand_nats_server()
    with (
        SyncBus(tmp_path_factory.mktemp("nats") if is_real else None) as bus,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name in [name for name in os.environ if name.startswith(_CONNECTION)]:
            environment.delenv(name)
        if is_real:
            environment.setenv("HOOKBUS_NATS_URL", bus.url)
        yield bus


def _demand_nats_server() -> None:
    from hookbus.broker import find_nats_server  # only here: most runs need no broker
    from hookbus.errors import BrokerError

    try:
        find_nats_server()
    except BrokerError as e:
        if os.environ.get("CI") == "true":
            pytest.fail(str(e), pytrace=False)
        pytest.skip(str(e))
