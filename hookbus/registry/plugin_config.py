"""What a plugin's replicas hear of the settings: ``[plugins.NAME.config]``, ``[observers]``."""

from __future__ import annotations

from typing import Any

import msgspec

from hookbus import subjects
from hookbus.config.settings import Settings
from hookbus.transport import Transport


def plugin_config(settings: Settings, plugin: str) -> dict[str, Any]:
    """The values of ``[plugins.NAME.config]``."""
    said = settings.plugins.get(plugin)
    return dict(said.config) if said else {}


async def tell_config(transport: Transport, plugin: str, settings: Settings) -> None:
    """Tell every replica of *plugin* what the settings say now."""
    config, observers = plugin_config(settings, plugin), settings.observers.redelivery
    body = msgspec.json.encode({"v": 1, "config": config, "observers": observers})
    await transport.publish(subjects.config(plugin), body)
