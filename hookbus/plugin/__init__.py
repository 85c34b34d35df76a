"""The plugin SDK: declare hooks, answer events."""

from hookbus.plugin.declare import Hook, Plugin
from hookbus.plugin.serve import AnnounceAnswer, PluginServer

__all__ = ["AnnounceAnswer", "Hook", "Plugin", "PluginServer"]
