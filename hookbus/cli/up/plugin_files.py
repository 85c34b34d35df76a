"""Where plugins lie on disk: the bundled ones, and those in a folder that somebody names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hookbus.cli.errors import UsageError

SCRIPT: Final = "plugin.py"
_PACKAGE: Final = Path(__file__).resolve().parents[2]


def bundled_plugins() -> list[Path]:
    """Find the scripts of the reference plugins: in the wheel, else in the checkout."""
    for folder in (_PACKAGE / "bundled_plugins", _PACKAGE.parent / "plugins"):
        if scripts := sorted(folder.glob(f"*/{SCRIPT}")):
            return scripts
    return []


def find_plugins(path: Path) -> list[Path]:
    """Find scripts: *path* itself, its plugin.py, or the plugin.py of each folder in it.

    Raises:
        UsageError: There is none.
    """
    if path.is_file():
        return [path]
    if (path / SCRIPT).is_file():
        return [path / SCRIPT]
    scripts = sorted(path.glob(f"*/{SCRIPT}"))
    if not scripts:
        found = "a folder without them" if path.is_dir() else "nothing"
        raise UsageError(f"{str(path)!r}: expected a {SCRIPT} or */{SCRIPT}, found {found}")
    return scripts


def process_name(script: Path) -> str:
    """``"plugins/redact_secrets/plugin.py" → "redact-secrets"``; the stem of another script."""
    name = script.resolve().parent.name if script.name == SCRIPT else script.stem
    return name.replace("_", "-")
