"""When other hooks of a plugin that is known take effect. Pure."""

from __future__ import annotations

from hookbus.config.settings import Settings
from hookbus.errors import Problem
from hookbus.manifest.announcement import Announcement, hooks_fingerprint
from hookbus.manifest.semver import is_newer
from hookbus.registry.policy import Overrides


def has_other_hooks(announcement: Announcement, known: Announcement) -> bool:
    """Tell whether it is no replica of what is known."""
    if known.candidate_of != announcement.candidate_of:  # that is another mode
        return True
    return hooks_fingerprint(known.hooks) != hooks_fingerprint(announcement.hooks)


def awaits_approval(
    announcement: Announcement, known: Announcement, settings: Settings, overrides: Overrides
) -> Problem | None:
    """Say why an upgrade waits for an operator: in production a guard's hooks are at stake.

    With ``upgrade = "same_permissions"`` it waits only if its hooks have other names, types or
    phases; what else a hook may do is the operator's word alone (R18).
    """
    plugin = announcement.plugin
    is_let_in = plugin in settings.plugins or plugin in overrides.approved
    if settings.mode != "production" or not is_let_in:
        return None
    if not has_other_hooks(announcement, known):
        return None
    if known.candidate_of is not None and announcement.candidate_of != known.candidate_of:
        return Problem(
            "candidate_of",
            f"version {known.version} is a candidate of {known.candidate_of}, in shadow, and stays"
            f" in force; `hookbus plugins approve {plugin}` lets this one have a say",
        )
    if not is_newer(announcement.version, known.version):
        return None
    if settings.upgrade == "same_permissions" and _asks(announcement) == _asks(known):
        return None
    return Problem(
        "hooks",
        f"version {announcement.version} has other hooks than {known.version}, which stays in"
        f" force; `hookbus plugins approve {plugin}` puts them in its place",
    )


def _asks(announcement: Announcement) -> set[tuple[str, str, str]]:
    return {(hook.name, hook.type, hook.phase) for hook in announcement.hooks}
