"""The bus for users' tests on a real nats-server, which each test has to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookbus import Block, Emitter, SyncEmitter, Unavailable
from hookbus.errors import UnavailableCode
from hookbus.testing import SyncBus, assert_blocks, assert_continues

HI = {"text": "hi"}


@pytest.fixture
def bus(nats_server_program: None, tmp_path: Path) -> Iterator[SyncBus]:
    with SyncBus(tmp_path) as started:
        yield started


def test_code_that_connects_itself_finds_the_bus(bus: SyncBus) -> None:
    bus.answers("guard", "message_received", Block("no"))

    async def service() -> None:
        async with Emitter.connect(bus.url, source="/chat", timeout=5.0) as emitter:
            assert_blocks(await emitter.emit("message_received", HI), by="guard")

    asyncio.run(service())
    with SyncEmitter.connect(bus.url, source="/chat", timeout=5.0) as emitter:
        assert_blocks(emitter.emit("message_received", HI), by="guard")


def test_all_that_is_scripted_holds_on_the_real_broker_too(bus: SyncBus) -> None:
    guard = bus.answers("guard", "message_received", Block("no"), TimeoutError())
    audit = bus.answers("audit", "message_received", phase="observe")

    assert_blocks(bus.emit("message_received", HI), by="guard", cause="verdict")
    assert_blocks(bus.emit("message_received", HI), code="timeout", cause="failure")
    bus.until(lambda: len(audit.events) == 2)
    assert len(guard.events) == 2

    bus.settings(plugins={"guard": {"hooks": {"message-received": {"mode": "off"}}}})
    assert_continues(bus.emit("message_received", HI))
    bus.settings()
    bus.kill("guard")
    assert_blocks(bus.emit("message_received", HI), code="no_responders", cause="failure")
    bus.answers("guard", "message_received", Block("back"))
    assert_blocks(bus.emit("message_received", HI), reason="back")
    bus.unplug("guard")
    assert_continues(bus.emit("message_received", HI))


@pytest.mark.parametrize("code", ["no_responders", "timeout", "disconnected"])
def test_the_worst_day_comes_and_goes(bus: SyncBus, code: UnavailableCode) -> None:
    bus.answers("guard", "message_received", Block("no"))
    own = bus.emitter(on_unavailable="block", timeout=0.3)

    with bus.unavailable(code):
        with pytest.raises(Unavailable) as raised:
            bus.emit("message_received", HI, timeout=0.3)
        decision = asyncio.run(own.emit("message_received", HI))

    assert raised.value.code == code
    assert_blocks(decision, cause="unavailable", code=code)
    assert_blocks(bus.emit("message_received", HI), by="guard", cause="verdict")


pytest_plugins = ("pytester",)


def test_with_the_marker_code_that_names_no_url_finds_the_bus(
    nats_server_program: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("HOOKBUS_CREDS", "/nowhere")
    pytester.makepyfile(
        """
import pytest
from hookbus import Block, SyncEmitter
from hookbus.testing import assert_blocks

@pytest.mark.hookbus_broker
def test_it(hookbus):
    hookbus.answers("guard", "message_received", Block("no"))
    with SyncEmitter.connect(source="/chat", timeout=5.0) as emitter:
        assert_blocks(emitter.emit("message_received", {"text": "hi"}), by="guard")
"""
    )

    result = pytester.runpytest_inprocess("-W", "error", "-p", "hookbus.testing.pytest_plugin")

    result.assert_outcomes(passed=1)
