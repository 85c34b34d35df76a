"""What operators said at run time, as lines for people: which of it is in force, until when. Pure.

The registry keeps overrides whose time is over until the next change; they are not shown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from hookbus.cli.printable import clean
from hookbus.registry.policy import Approval, ModeOverride, Overrides, Removal, in_force, mode_key


def overrides_in_force(answer: dict[str, Any], now: float) -> Overrides:
    """Read ``overrides`` of the registry's answer; *now* is in seconds since the epoch."""
    return in_force(msgspec.convert(answer["overrides"], Overrides), now)


def mode_override(overrides: Overrides, plugin: str, hook: str) -> ModeOverride | None:
    """Find what an operator said about one hook; what was said of the hook itself wins."""
    own = overrides.modes.get(mode_key(plugin, hook))
    return own or overrides.modes.get(mode_key(plugin, None))


def lines(overrides: Overrides) -> list[str]:
    """Say who did what and when, and how to take it back; a line for each."""
    modes = [_mode_line(key, overrides.modes[key]) for key in sorted(overrides.modes)]
    removed = [
        f"{plugin}: removed by {clean(removal.by)} at {clean(removal.at)}{until(removal)};"
        f" 'hookbus plugins approve {plugin}' binds it again"
        for plugin, removal in sorted(overrides.removed.items())
    ]
    approved = [
        f"{plugin}: let in by {clean(approval.by)} at {clean(approval.at)}{until(approval)};"
        f" 'hookbus plugins remove {plugin}' ends it"
        for plugin, approval in sorted(overrides.approved.items())
    ]
    return modes + removed + approved


def _mode_line(key: str, override: ModeOverride) -> str:
    plugin, _, hook = key.partition("/")
    option = f" --hook {hook}" if hook else ""
    return (
        f"{key}: {override.mode} by {clean(override.by)} at {clean(override.at)}"
        f"{until(override)}; 'hookbus plugins mode {plugin}{option} --reset' ends it"
    )


def unserved_hooks(plugin: dict[str, Any]) -> str:
    """Name the hooks of a listed plugin that are bound and that it did not announce."""
    hooks = [hook["name"] for hook in plugin["hooks"] if not hook.get("announced", True)]
    return ", ".join(map(clean, hooks))


def until(override: ModeOverride | Removal | Approval) -> str:
    """``" until 2026-11-21T11:00:00Z"``, or nothing if it has no end."""
    if override.until is None:
        return ""
    end = datetime.fromtimestamp(override.until, UTC).isoformat(timespec="seconds")
    return f" until {end.replace('+00:00', 'Z')}"
