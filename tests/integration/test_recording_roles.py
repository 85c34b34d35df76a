"""What an operator sees of recording: limits changed live, a stream that is gone, exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from hookbus.subjects import DECISIONS_STREAM
from hookbus.transport import NatsTransport
from tests.integration.commands import Bus, eventually, up

pytestmark = pytest.mark.usefixtures("nats_server_program")

HOUR = 3600


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with up(tmp_path_factory.mktemp("bus"), "--no-bundled") as started:
        yield started


def test_the_limits_of_a_stream_are_changed_live(bus: Bus) -> None:
    limits = {"max_age": "1h", "max_bytes": "2MiB"}

    bus.control("apply", settings={"mode": "development", "streams": {"DECISIONS": limits}})

    config = asyncio.run(_stream_config(bus.url))
    assert (config.max_age, config.max_bytes) == (HOUR, 2 * 2**20)


def test_with_a_required_audit_and_no_stream_an_emit_ends_with_4_and_the_doctor_says_why(
    bus: Bus,
) -> None:
    bus.control("apply", settings={"mode": "development", "audit": "required"})
    bus.wait_served()
    asyncio.run(_delete_stream(bus.url))

    blocked = bus.run("emit", "message_received", "--data", '{"text":"hi"}', "--json")
    doctor = bus.run("doctor", "--json")

    decision = json.loads(blocked.stdout)
    assert (blocked.returncode, decision["cause"], decision["code"]) == (
        4,
        "audit",
        "audit_unavailable",
    )
    [said] = [c["said"] for c in json.loads(doctor.stdout)["checks"] if c["check"] == "recording"]
    assert f"{DECISIONS_STREAM}: no stream takes it" in said

    # changed limits make the registry look after the streams: it makes the one that is gone
    streams = {"DECISIONS": {"max_age": "2h"}}
    bus.control("apply", settings={"mode": "development", "streams": streams})
    told = eventually(lambda: _explained(bus, decision["id"]))
    assert (told["id"], told["cause"]) == (decision["id"], "audit")


def _explained(bus: Bus, name: str) -> dict[str, Any]:
    explained = bus.run("decisions", "explain", name, "--json")
    found: dict[str, Any] = json.loads(explained.stdout) if explained.returncode == 0 else {}
    return found


async def _stream_config(url: str) -> Any:
    transport = await NatsTransport.connect(url)
    try:
        return (await transport.jetstream.stream_info(DECISIONS_STREAM)).config
    finally:
        await transport.close()


async def _delete_stream(url: str) -> None:
    transport = await NatsTransport.connect(url)
    try:
        await transport.jetstream.delete_stream(DECISIONS_STREAM)
    finally:
        await transport.close()
