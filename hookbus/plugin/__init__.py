"""The plugin SDK: declare hooks, answer events."""

from hookbus.plugin.declare import Hook, Plugin
from hookbus.plugin.serve import PluginServer

__all__ = ["Hook", "Plugin", "PluginServer"]
