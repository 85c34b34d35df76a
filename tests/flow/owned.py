"""A bus whose settings come from a source that a test chooses."""

from __future__ import annotations

from typing import Any

from hookbus import subjects
from hookbus.config.settings import Settings, parse_settings
from hookbus.registry.registry import Registry
from hookbus.registry.settings_changes import Source
from tests.flow.bus import Bus

GUARD = {"g": {"hooks": {"hook": {"type": "message_received", "phase": "validate"}}}}
UNBINDABLE = {"g": {"hooks": {"hook": {"phase": "validate"}}}}
FILE = "the file '/etc/hookbus.toml'"


def from_file(**tree: Any) -> Settings:
    return parse_settings({"mode": "production", **tree}, "/etc/hookbus.toml")


async def start(bus: Bus, source: Source) -> Registry:
    registry = await bus.host_registry(source)
    await bus.start_dispatcher()
    return registry


async def another(bus: Bus, source: Source = Source()) -> Registry:  # noqa: B008
    """One more registry on the same buckets, that nobody asks anything."""
    return Registry(
        bus.registry_transport,
        await bus.engine.bucket(bus.transport, subjects.CONFIG_BUCKET),
        await bus.engine.bucket(bus.transport, subjects.STATE_BUCKET),
        source,
    )
