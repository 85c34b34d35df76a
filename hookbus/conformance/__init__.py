"""Black-box checks of live plugins in any language, over the protocol only."""

from hookbus.conformance.report import Finding, Report, Status
from hookbus.conformance.run import Wishes, examine_plugin
from hookbus.conformance.target import PluginAbsent

__all__ = ["Finding", "PluginAbsent", "Report", "Status", "Wishes", "examine_plugin"]
