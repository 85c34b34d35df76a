"""Manifests that a settings file refers to: they say what the hooks of a plugin are."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hookbus.errors import SettingsError
from hookbus.manifest.problems import join

#: What only an operator decides never comes from a manifest (R18).
OPERATORS_ONLY: Final = ("on_failure", "mode", "writable", "rewrites", "priority")


def with_manifests(
    file: Path, tree: dict[str, Any], read: Callable[[Path], bytes]
) -> dict[str, Any]:
    """Name every hook of the manifests that *tree* refers to, as its hooks there.

    What the settings say of a hook wins over its manifest. Paths are relative to *file*, which is
    named in messages.

    Raises:
        SettingsError: A manifest cannot be read, is another plugin's, or has no hooks.
    """
    plugins = tree.get("plugins")
    if not isinstance(plugins, dict):
        return tree
    named = dict(plugins)
    for plugin, section in plugins.items():
        if isinstance(section, dict) and isinstance(section.get("manifest"), str):
            at = f"{file}: {join('plugins', plugin, 'manifest')}: {section['manifest']!r}"
            manifest = _manifest(file.parent / section["manifest"], at, read)
            hooks = _hooks(manifest, plugin, at)
            named[plugin] = {**section, "hooks": _over(section.get("hooks", {}), hooks)}
    return {**tree, "plugins": named}


def _manifest(path: Path, at: str, read: Callable[[Path], bytes]) -> dict[str, Any]:
    try:
        return tomllib.loads(read(path).decode())
    except OSError as e:
        raise SettingsError(f"{at} cannot be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise SettingsError(f"{at}: expected TOML: {e}") from e


def _hooks(manifest: Mapping[str, Any], plugin: str, at: str) -> dict[str, dict[str, Any]]:
    if manifest.get("name") != plugin:
        raise SettingsError(f"{at}: expected name = {plugin!r}, got {manifest.get('name')!r}")
    hooks = manifest.get("hooks")
    if not isinstance(hooks, list) or not hooks:
        raise SettingsError(f"{at}: expected a table [[hooks]] for each hook, found none")
    found: dict[str, dict[str, Any]] = {}
    for index, hook in enumerate(hooks):
        if not isinstance(hook, dict) or not isinstance(hook.get("name"), str):
            raise SettingsError(f"{at}: hooks[{index}]: expected a table with a name")
        found[hook["name"]] = {
            key: value for key, value in hook.items() if key not in ("name", *OPERATORS_ONLY)
        }
    return found


def _over(written: Any, hooks: dict[str, dict[str, Any]]) -> Any:
    """Put what the operator wrote over the manifest's hooks; what is no table is refused later."""
    if not isinstance(written, dict):
        return written
    merged: dict[str, Any] = dict(hooks)
    for name, said in written.items():
        merged[name] = {**hooks.get(name, {}), **said} if isinstance(said, dict) else said
    return merged
