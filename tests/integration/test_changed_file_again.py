"""A changed settings file that could not be put in force is tried again: nobody edits it twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from hookbus.broker import EmbeddedBroker
from hookbus.transport import NatsTransport
from tests.integration.commands import HOOKBUS, Process, eventually, get, running
from tests.integration.test_server_roles import health_url, is_ready


def test_a_file_that_the_bucket_had_no_room_for_is_in_force_once_there_is_some(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    file = tmp_path / "production.toml"
    file.write_text('mode = "production"\n')
    command = [*HOOKBUS, "serve", "registry", "--http", "127.0.0.1:0", "--settings", str(file)]
    with running(command, tmp_path, HOOKBUS_NATS_URL=own_broker.url) as registry:
        eventually(lambda: is_ready(registry))
        asyncio.run(limit_bucket(own_broker.url, 1))
        file.write_text('mode = "production"\ntimeout_ms = 900\n')
        problem = eventually(lambda: health(registry)["settings_problem"])

        asyncio.run(limit_bucket(own_broker.url, -1))

        eventually(lambda: health(registry)["settings_problem"] is None)
        assert health(registry)["generation"] > 1

    assert "hookbus_config" in problem


def health(registry: Process) -> dict[str, Any]:
    return get(f"{health_url(registry)}/readyz")[1]


async def limit_bucket(url: str, max_bytes: int) -> None:
    transport = await NatsTransport.connect(url)
    try:
        stream = await transport.jetstream.stream_info("KV_hookbus_config")
        await transport.jetstream.update_stream(replace(stream.config, max_bytes=max_bytes))
    finally:
        await transport.close()
