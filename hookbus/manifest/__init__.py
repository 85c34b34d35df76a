"""What a plugin declares: hook options and announcements. Pure."""

from hookbus.manifest.announcement import (
    Announcement,
    encode_announcement,
    from_document,
    hooks_fingerprint,
    parse_announcement,
)
from hookbus.manifest.hook import HookOptions, HookOverlay, default_name, parse_hook
from hookbus.manifest.semver import is_newer, is_version

__all__ = [
    "Announcement",
    "HookOptions",
    "HookOverlay",
    "default_name",
    "encode_announcement",
    "from_document",
    "hooks_fingerprint",
    "is_newer",
    "is_version",
    "parse_announcement",
    "parse_hook",
]
