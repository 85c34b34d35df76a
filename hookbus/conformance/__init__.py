"""Black-box checks of live plugins and emitters in any language, over the protocol only."""

from hookbus.conformance.emitters.run import examine_emitter
from hookbus.conformance.report import Finding, Report, Status
from hookbus.conformance.run import Wishes, examine_plugin
from hookbus.conformance.target import PluginAbsent

__all__ = [
    "Finding",
    "PluginAbsent",
    "Report",
    "Status",
    "Wishes",
    "examine_emitter",
    "examine_plugin",
]
