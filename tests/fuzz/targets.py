"""All targets by name."""

from __future__ import annotations

from tests.fuzz.emitter_sdk import EmitterSdk
from tests.fuzz.events import Events
from tests.fuzz.plugin_sdk import PluginSdk
from tests.fuzz.registry import Announcements, Control
from tests.fuzz.replies import Replies
from tests.fuzz.settings_files import SettingsFiles
from tests.fuzz.target import Target

TARGETS: dict[str, type[Target]] = {
    each.name: each
    for each in (Events, Replies, Announcements, Control, SettingsFiles, PluginSdk, EmitterSdk)
}
